"""Many requests at once: mixed steps, continuous batching, speculation, two phases apart."""
