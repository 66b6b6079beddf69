"""Networks as other people describe them: published configs and GGUF files."""
