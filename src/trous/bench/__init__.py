"""Check, then time: trous beside PyTorch on a list of layers. `python -m trous.bench LIST`, or `make bench`."""
