"""Measured runs: read from CSV files and other tools' outputs, and predicted many at once."""
