"""Studies of a space of designs: many models, devices, runtimes and numbers at once."""
