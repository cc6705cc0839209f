"""Runs: from an experiment to a recorded result."""
