"""Ways to enlarge, compared at equal multiplications for an output pixel (docs/upsampling.md)."""
