"""Trains an experiment on every fold, so that every image is tested once."""
