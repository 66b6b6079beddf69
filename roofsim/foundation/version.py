"""The version of the package, as pyproject.toml reads it, and that of its JSON."""

__version__ = "0.1.0"

SCHEMA = 1
"""Version of the JSON that results turn into."""
