"""Speeds up a frozen network by folding BatchNorm and reducing precision; checks the result."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerascnn.engine.network.copies import another, copy_state
from kerascnn.engine.network.inference import run_once
from kerascnn.runtime.keras_internals import nested_layers, nodes_in_order, run_graph

IMAGES = 8
"""Real images on which both are compared."""
TOLERANCE = {"float32": 1e-3, "16 bits": 0.1}
"""Maximum difference, as a share of the spread among images. Measured on photographs at 160 pixels,
with EfficientNet-Lite0 (ImageNet weights) and ResNet50, MobileNetV2 and VGG16 (random weights):
folding up to 4e-6, bfloat16 up to 0.047, float16 up to 0.007, or 4 when it underflows."""
Nodes = list[Any]


def fold(model: Any, precision: str | None = None) -> Any:
    """Makes a model with the same output in inference mode and fewer operations.

    In inference mode, a BatchNorm scales and shifts the output of the convolution before it; the
    convolution's own kernel and bias can do so (Jacob et al., arXiv 1712.05877, section 3.2).

    Args:
        model: A functional model; it is not changed, and unchanged layers are shared.
        precision: A dtype policy such as "mixed_bfloat16" for the layers from the first one with
            weights on: it would round images in 0–255 before they are rescaled. Default the
            layers' own.

    Returns:
        A model that runs the functional one's graph with other layers. To make a functional one of
        these would take Keras as long as to trace it.
    """
    nodes = nodes_in_order(model)
    changed = dict[str, Any](_converted(nodes, precision)) if precision else {}
    for layer, batchnorm in _foldable(nodes, model.outputs):
        dtype = {"dtype": precision} if precision else {}
        changed[layer.name] = _folded(layer, batchnorm, dtype)
        changed[batchnorm.name] = None
    return _with(model, changed)


def _with(model: Any, changed: Mapping[str, Any]) -> Any:
    """A model that runs a functional one's graph with other layers; None leaves one out."""
    import keras

    own = [changed.get(layer.name, layer) for layer in model.layers]

    class Folded(keras.Model):
        def __init__(self) -> None:
            super().__init__(autocast=False)  # each layer converts its own inputs
            self.own = [layer for layer in own if layer]  # whose variables Keras finds here

        def build(self, input_shape: Any) -> None:
            self.built = True

        def call(self, images: Any) -> Any:
            return run_graph(model, images, self._call)

        def _call(self, operation: Any, *arguments: Any, **named: Any) -> Any:
            if instead := changed.get(operation.name, operation):
                return instead(*arguments, **named)
            return arguments[0] if arguments else named["inputs"]

    return Folded()


def _foldable(nodes: Nodes, outputs: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Pairs of a layer and the BatchNorm that alone uses its output."""
    import keras
    from keras import layers

    calls = Counter(id(node.operation) for node in nodes)
    users: dict[int, list[Any]] = {id(tensor): [None] for tensor in outputs}
    for node in nodes:
        for tensor in node.input_tensors:
            users.setdefault(id(tensor), []).append(node.operation)
    for node in nodes:
        layer, (user, *others) = node.operation, users.get(id(node.outputs[0]), [None])
        if (
            type(layer) in (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
            and layer.activation is keras.activations.linear
            and type(user) is layers.BatchNormalization
            and user.axis in (-1, node.outputs[0].ndim - 1)
            and not others
            and calls[id(layer)] == calls[id(user)] == 1
        ):
            yield layer, user


def _folded(layer: Any, batchnorm: Any, dtype: dict[str, str]) -> Any:
    """The layer with the BatchNorm in its kernel and bias."""
    kernel, *bias = layer.get_weights()
    scale, shift = affine(batchnorm)
    axes = kernel.shape[2:] if type(layer).__name__ == "DepthwiseConv2D" else (-1,)
    twin = another(layer, use_bias=True, **dtype)
    twin.set_weights([kernel * scale.reshape(axes), (bias[0] if bias else 0) * scale + shift])
    return twin


def affine(batchnorm: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift, float64 [C], of a BatchNorm in inference mode: x · scale + shift."""
    mean = np.array(batchnorm.moving_mean, np.float64)
    scale = 1 / np.sqrt(np.array(batchnorm.moving_variance, np.float64) + batchnorm.epsilon)
    if batchnorm.scale:
        scale = scale * np.array(batchnorm.gamma)
    shift = -mean * scale
    return scale, shift + np.array(batchnorm.beta) if batchnorm.center else shift


def _converted(nodes: Nodes, precision: str) -> Iterator[tuple[str, Any]]:
    """The layers from the first one with weights on, in another precision."""
    import keras

    seen = False
    for node in nodes:
        layer = node.operation
        seen = seen or bool(getattr(layer, "weights", ()))
        if seen and isinstance(layer, keras.Layer) and not isinstance(layer, keras.Model):
            twin = another(layer, dtype=precision)
            copy_state(layer, twin)
            yield layer.name, twin


class DisagreementError(Exception):
    """The fast network gives different activations; the message says how different."""


def check_agreement(
    plain: Any,
    images: np.ndarray,
    activations: np.ndarray,
    *,
    in_16_bits: bool,
    sections: Sequence[int] = (),
) -> None:
    """Raises DisagreementError unless the plain model gives the same, within rounding.

    Sections of a row, which begin at these values, may differ in scale: each is compared by itself.
    """
    expected = run_once(plain, images[:IMAGES])
    tolerance = TOLERANCE["16 bits" if in_16_bits else "float32"]
    parts = [np.split(of, sections, axis=1) for of in (activations[:IMAGES], expected)]
    apart = np.max([difference(*both) for both in zip(*parts, strict=True)])
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


def rounds_to_16_bits(model: Any) -> bool:
    return any(layer.compute_dtype in ("float16", "bfloat16") for layer in nested_layers(model))
