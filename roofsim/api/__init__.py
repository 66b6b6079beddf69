"""The package in Python: the words of the command line as functions, whose results show themselves in a notebook."""
