"""What a network does to sizes, positions and budgets: `trous.inspect`."""
