"""Keras models: building, blocks and boundary, freezing, running."""
