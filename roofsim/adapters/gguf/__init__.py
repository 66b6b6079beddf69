"""GGUF files: the header of one as it stands, and the network that it describes."""
