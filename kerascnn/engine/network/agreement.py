"""Checks that a folded or cast network still agrees with the original."""

from typing import Any

import numpy as np

from kerascnn.engine.network.inference import run_once
from kerascnn.runtime.keras_internals import nested_layers

IMAGES = 8
"""Real images on which both are compared."""
TOLERANCE = {"float32": 1e-3, "16 bits": 0.1}
"""Maximum difference, as a share of the spread among images. Measured on photographs at 160 pixels,
with EfficientNet-Lite0 (ImageNet weights) and ResNet50, MobileNetV2 and VGG16 (random weights):
folding up to 4e-6, bfloat16 up to 0.047, float16 up to 0.007, or 4 when it underflows."""


class DisagreementError(Exception):
    """The fast network gives different activations; the message says how different."""


def check_agreement(fast: Any, plain: Any, images: np.ndarray, activations: np.ndarray) -> None:
    """Raises DisagreementError unless both give the same activations, within rounding.

    Args:
        fast: The model that computed the activations.
        plain: The original model.
        images: [B, S, S, 3].
        activations: [B, ...], of these images.
    """
    expected = run_once(plain, images[:IMAGES])
    tolerance = TOLERANCE["16 bits" if _rounds_to_16_bits(fast, plain) else "float32"]
    apart = difference(activations[:IMAGES], expected)
    if not apart <= tolerance:
        raise DisagreementError(
            f"its activations differ by {apart:.2g} of their spread over {len(expected)} images; "
            f"{tolerance:g} is allowed"
        )


def difference(given: np.ndarray, expected: np.ndarray) -> float:
    """The root mean square difference of arrays [B, ...], as a share of the spread among rows.

    If the rows are equal, their root mean square replaces the spread.
    """
    given, expected = given.astype(np.float64), expected.astype(np.float64)
    size, spread = _rms(expected), _rms(expected - expected.mean(0))
    apart, scale = _rms(given - expected), spread if spread > 1e-6 * size else size
    return 0.0 if apart == 0 else apart / scale if scale else np.inf


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _rounds_to_16_bits(*models: Any) -> bool:
    layers = (layer for model in models for layer in nested_layers(model))
    return any(layer.compute_dtype in ("float16", "bfloat16") for layer in layers)
