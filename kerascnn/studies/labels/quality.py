"""Images without content: blurred, or of a single colour such as black."""

from typing import Any

import numpy as np

_BATCH = 256
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
BLANK = 6.0
"""Standard deviation of grey values, of 255, below which an image shows nothing."""


def contrast_and_sharpness(images: Any) -> np.ndarray:
    """Measures images uint8 [N, S, S, 3], an array or indexed like one: float64 [N, 2].

    Contrast is the standard deviation of the grey values, 0 to 127.5; sharpness the logarithm of
    the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000, doi 10.1109/ICPR.2000.903548).
    """
    measured = np.empty((len(images), 2))
    for first in range(0, len(images), _BATCH):
        here = slice(first, min(first + _BATCH, len(images)))
        grey = np.asarray(images[here]).astype(np.float32) @ GREY
        around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
        laplacian = around - 4 * grey[:, 1:-1, 1:-1]
        measured[here, 0] = grey.std((1, 2))
        measured[here, 1] = np.log(np.maximum(laplacian.var((1, 2)), 1e-3))
    return measured


def outlying(values: np.ndarray) -> np.ndarray:
    """By how many robust deviations values exceed their median (Rousseeuw and Croux 1993)."""
    median = np.median(values)
    deviation = 1.4826 * np.median(abs(values - median))
    return (values - median) / (deviation or 1)
