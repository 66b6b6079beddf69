"""Cost of each operator: plain functions of named sizes, one module per family."""
