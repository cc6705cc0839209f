"""The images that a run knows: those it was trained and validated on, by their features."""
