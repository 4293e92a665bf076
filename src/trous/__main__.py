"""`python -m trous`, the same as the command `trous`."""

from trous.cli import main

main()
