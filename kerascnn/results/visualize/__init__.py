"""What a network computes for an image, as one figure."""
