"""Runs side by side: settings, metrics, significance tests, and the page that shows them."""
