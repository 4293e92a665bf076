"""Applications: what trained layers are worth on real data. Nothing below the command line imports them."""
