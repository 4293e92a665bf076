"""Published networks with transposed or dilated layers, written in torch's own layers for `accelerate` to swap."""
