"""Fitting the parameters of the model to measured runs. The one importer of SciPy."""
