"""Studies of many points: what there is to choose from, and what each choice gives."""
