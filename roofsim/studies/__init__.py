"""Questions that need many predictions: crossovers, limits, sweeps."""
