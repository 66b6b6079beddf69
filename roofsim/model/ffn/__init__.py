"""Kinds of channel mixer, one module each; a model file names them by `kind`."""
