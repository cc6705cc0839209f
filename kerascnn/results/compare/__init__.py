"""Runs compared on the same images: which is better, and whether that is certain."""
