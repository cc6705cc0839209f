"""The frozen prefix: run once per image, in the fastest way that agrees with it, and stored."""
