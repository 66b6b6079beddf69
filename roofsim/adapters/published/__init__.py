"""Published configurations: one adapter per `model_type`, from a config.json to an architecture."""
