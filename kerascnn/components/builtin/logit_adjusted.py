"""Cross-entropy with logits that are adjusted by the frequencies of the classes."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

LEAST_PROBABILITY = 1e-30  # a normal float32, whose inverse, the gradient of its logarithm, is too


class LogitAdjusted(keras.losses.Loss):
    """Cross-entropy of `softmax(log p + tau log prior)` (Menon et al., arXiv 2007.07314, eq. 10).

    A network that minimises it predicts, without adjustment, as if all classes were as frequent.

    Args:
        class_counts: The number of training images of each class; none counts as one.
        tau: Strength of the adjustment, at least 0.
    """

    def __init__(self, class_counts: Sequence[int], tau: float) -> None:
        super().__init__()
        counts = np.maximum(class_counts, 1)
        self.offsets = (tau * np.log(counts / counts.sum())).astype(np.float32)  # [K]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        logits = ops.log(ops.maximum(y_pred, LEAST_PROBABILITY))  # [B, K]
        logits = ops.add(logits, self.offsets)
        return keras.losses.categorical_crossentropy(y_true, logits, from_logits=True)  # [B]
