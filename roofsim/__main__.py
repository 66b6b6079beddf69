"""`python -m roofsim`: the same as the command `roofsim`."""

from roofsim.cli import main

if __name__ == "__main__":  # processes of a study import this module as well
    main()
