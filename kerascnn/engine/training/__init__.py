"""Training: stages, epochs, optimizers, checkpoints."""
