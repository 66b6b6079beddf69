"""Many requests at once: mixed steps, continuous batching, speculation, two phases apart."""

USUAL_RUNTIME = "vllm"
"""The runtime that serves unless another is named."""
