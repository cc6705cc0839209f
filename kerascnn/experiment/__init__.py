"""Experiments: their model, how TOML files are read and checked, and their components bound."""
