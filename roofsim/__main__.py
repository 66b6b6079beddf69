"""`python -m roofsim`: the same as the command `roofsim`."""

from roofsim.cli import main

main()
