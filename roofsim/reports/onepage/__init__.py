"""One page about one prediction, to attach to a ticket: gathered, laid out in sections, and written."""
