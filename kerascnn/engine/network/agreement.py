"""Whether a network made fast still computes what the network that it stands for does."""

from typing import Any

import numpy as np

from kerascnn.engine.network.inference import run_once
from kerascnn.runtime.keras_internals import nested_layers

IMAGES = 8
"""Real images that both are run over."""
TOLERANCE = {"float32": 1e-3, "16 bits": 0.1}
"""Greatest difference, as a share of the spread among images. On photographs at 160 pixels, of
EfficientNet-Lite0 with ImageNet weights and of ResNet50, MobileNetV2 and VGG16 with random ones,
folding makes up to 4e-6 and bfloat16 up to 0.047; float16 up to 0.007, or 4 where it underflows."""


class DisagreementError(Exception):
    """The fast network gives other activations; the text says how."""


def check_agreement(fast: Any, plain: Any, images: np.ndarray, activations: np.ndarray) -> None:
    """Raises DisagreementError unless both give the same for real images, within rounding.

    Args:
        fast: The model that made the activations.
        plain: The model that it stands for.
        images: [B, S, S, 3].
        activations: [B, ...], of these images.
    """
    expected = run_once(plain, images[:IMAGES])
    tolerance = TOLERANCE["16 bits" if _rounds_to_16_bits(fast, plain) else "float32"]
    apart = difference(activations[:IMAGES], expected)
    if not apart <= tolerance:
        raise DisagreementError(
            f"its activations differ by {apart:.2g} of their spread over {len(expected)} images, "
            f"where {tolerance:g} is allowed"
        )


def difference(given: np.ndarray, expected: np.ndarray) -> float:
    """The root mean square of what [B, ...] differ by, as a share of the spread among the rows.

    Where the rows are equal there is no spread, and their own size takes its place.
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
