"""Which images train, validate and test: by content, so that an image keeps its place."""
