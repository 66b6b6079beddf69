"""From operators to kernels: what each software stack makes of a network."""
