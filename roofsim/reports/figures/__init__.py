"""Figures, as a paper could print them: a module each, in one style."""
