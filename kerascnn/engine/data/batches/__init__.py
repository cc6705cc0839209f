"""Batches for training: shuffled, augmented, and ready before the step that uses them."""
