"""What everything stands on: numbers with units, costs, names, errors."""
