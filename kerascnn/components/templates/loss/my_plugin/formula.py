"""The loss of each image, computed with keras.ops."""

import keras
from keras import ops


class GeneralisedCrossEntropy(keras.losses.Loss):
    """`sum_k y_k (1 - p_k^q) / q` (Zhang & Sabuncu, arXiv 1805.07836).

    Args:
        q: Above 0, at most 1; close to 0 it is cross-entropy, at 1 the absolute error.
    """

    def __init__(self, q):
        super().__init__()
        self.q = q

    def call(self, y_true, y_pred):
        """Labels and probabilities float32 [B, K], both with sum 1; returns float32 [B]."""
        y_pred = ops.maximum(y_pred, 1e-7)  # the gradient at 0 is infinite
        return ops.sum(y_true * (1 - y_pred**self.q) / self.q, axis=-1)
