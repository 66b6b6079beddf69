"""Measuring the real thing: models with random weights on the machine at hand. Needs PyTorch and transformers."""
