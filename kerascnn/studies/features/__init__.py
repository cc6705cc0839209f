"""What a network knows of images before it is trained: features, folds, a linear probe."""
