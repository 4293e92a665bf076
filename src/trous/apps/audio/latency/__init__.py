"""How late a network's sound comes, and how much of a block's time it takes (docs/latency.md)."""
