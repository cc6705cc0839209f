"""How OpenVINO computes each layer of Keras: one rule a layer, in inference mode.

Inside the graph, tensors of four axes are [B, C, H, W], as OpenVINO computes them; all others have
Keras's order of axes. `ov` is a set of OpenVINO's operations.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.network.prefix.folding import affine

Rule = Callable[..., Any]  # (ov, layer, *tensors) -> tensor
_TO_NCHW, _TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


class ConversionError(Exception):
    """A network has a layer that OpenVINO cannot run as Keras does; the message names it."""


def _rank(tensor: Any) -> int:
    return len(tensor.get_partial_shape())


def to_nchw(ov: Any, tensor: Any) -> Any:
    return ov.transpose(tensor, _TO_NCHW).output(0) if _rank(tensor) == 4 else tensor


def to_nhwc(ov: Any, tensor: Any) -> Any:
    return ov.transpose(tensor, _TO_NHWC).output(0) if _rank(tensor) == 4 else tensor


def _axis(axis: int, tensor: Any) -> int:
    """Where an axis of Keras is in the graph."""
    rank = _rank(tensor)
    return _TO_NHWC[axis % rank] if rank == 4 else axis % rank


def _constant(ov: Any, value: Any, like: Any) -> Any:
    """An array that Keras broadcasts to a tensor, in the tensor's order of axes."""
    array = np.asarray(value if isinstance(value, int | float) else to_numpy(value), np.float32)
    rank = _rank(like)
    if array.ndim > rank:
        raise ConversionError(f"a constant of shape {array.shape} widens a tensor of {rank} axes")
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    return ov.constant(array.transpose(_TO_NCHW) if rank == 4 else array).output(0)


def _scaled(ov: Any, x: Any, scale: Any, shift: Any) -> Any:
    """x · scale + shift, both as Keras broadcasts them; None: without."""
    if scale is not None:
        x = ov.multiply(x, _constant(ov, scale, x)).output(0)
    return x if shift is None else ov.add(x, _constant(ov, shift, x)).output(0)


def _activation(ov: Any, function: Any, x: Any) -> Any:
    name = getattr(function, "__name__", type(function).__name__)
    rule = ACTIVATIONS.get(name) if str(function.__module__).startswith("keras.") else None
    if rule is None:
        raise ConversionError(f"the activation {name} has no counterpart in OpenVINO")
    found = rule(ov, x)
    return found if found is x else found.output(0)


ACTIVATIONS: dict[str, Rule] = {
    "linear": lambda ov, x: x,
    "relu": lambda ov, x: ov.relu(x),
    "relu6": lambda ov, x: ov.clamp(x, 0.0, 6.0),
    "leaky_relu": lambda ov, x: ov.prelu(x, np.float32(0.2)),
    "elu": lambda ov, x: ov.elu(x, 1.0),
    "silu": lambda ov, x: ov.swish(x),
    "gelu": lambda ov, x: ov.gelu(x, "ERF"),
    "sigmoid": lambda ov, x: ov.sigmoid(x),
    "hard_sigmoid": lambda ov, x: ov.hsigmoid(x),
    "hard_silu": lambda ov, x: ov.hswish(x),
    "tanh": lambda ov, x: ov.tanh(x),
    "softplus": lambda ov, x: ov.softplus(x),
    "mish": lambda ov, x: ov.mish(x),
    "softmax": lambda ov, x: ov.softmax(x, _axis(-1, x)),
}
"""By the name of Keras's function."""


def _convolve(ov: Any, layer: Any, x: Any, kernel: Any, groups: int = 1) -> Any:
    """Convolves x [B, I, H, W] with a kernel [h, w, I / groups, O], as the layer's settings say."""
    weights = to_numpy(kernel).transpose(3, 2, 0, 1)  # [O, I / groups, h, w]
    settings = {
        "strides": list(layer.strides),
        "dilations": list(layer.dilation_rate),
        "pads_begin": [0, 0],
        "pads_end": [0, 0],
        "auto_pad": _padding(layer),
    }
    if groups == 1:
        return ov.convolution(x, ov.constant(weights), **settings).output(0)
    grouped = weights.reshape(groups, -1, *weights.shape[1:])
    return ov.group_convolution(x, ov.constant(grouped), **settings).output(0)


def _padding(layer: Any) -> str:
    return {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]


def _biased(ov: Any, layer: Any, x: Any) -> Any:
    return _activation(ov, layer.activation, _scaled(ov, x, None, layer.bias))


def _conv2d(ov: Any, layer: Any, x: Any) -> Any:
    return _biased(ov, layer, _convolve(ov, layer, x, layer.kernel, layer.groups))


def _depthwise(ov: Any, layer: Any, x: Any, kernel: Any) -> Any:
    values = to_numpy(kernel)  # [h, w, I, multiplier]
    height, width, channels, multiplier = values.shape
    values = values.reshape(height, width, 1, channels * multiplier)
    return _convolve(ov, layer, x, values, channels)


def _depthwise_conv2d(ov: Any, layer: Any, x: Any) -> Any:
    return _biased(ov, layer, _depthwise(ov, layer, x, layer.kernel))


def _separable_conv2d(ov: Any, layer: Any, x: Any) -> Any:
    x = _depthwise(ov, layer, x, layer.depthwise_kernel)
    return _biased(ov, layer, _pointwise(ov, x, to_numpy(layer.pointwise_kernel)[0, 0]))


def _pointwise(ov: Any, x: Any, kernel: np.ndarray) -> Any:
    """Multiplies the channels of x [B, I, H, W] by a matrix [I, O]."""
    weights = ov.constant(kernel.T[:, :, None, None])
    return ov.convolution(x, weights, [1, 1], [0, 0], [0, 0], [1, 1]).output(0)


def _dense(ov: Any, layer: Any, x: Any) -> Any:
    kernel = to_numpy(layer.kernel)
    if _rank(x) == 4:
        return _biased(ov, layer, _pointwise(ov, x, kernel))
    return _biased(ov, layer, ov.matmul(x, ov.constant(kernel), False, False).output(0))


def _batch_normalization(ov: Any, layer: Any, x: Any) -> Any:
    if _axis(layer.axis, x) != _axis(-1, x):
        raise ConversionError("it normalizes another axis than the channels")
    return _scaled(ov, x, *affine(layer))


def _layer_normalization(ov: Any, layer: Any, x: Any) -> Any:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if [_axis(axis, x) for axis in axes] != [_axis(-1, x)] or layer.rms_scaling:
        raise ConversionError("it normalizes another axis than the channels, or by their RMS")
    normal = ov.mvn(x, [_axis(-1, x)], True, layer.epsilon, "inside_sqrt").output(0)
    return _scaled(ov, normal, layer.gamma, layer.beta)


def _normalization(ov: Any, layer: Any, x: Any) -> Any:
    if layer.invert:
        raise ConversionError("it is inverted")
    import keras

    deviation = np.maximum(np.sqrt(to_numpy(layer.variance)), keras.config.epsilon())
    return _scaled(ov, x, 1 / deviation, -to_numpy(layer.mean) / deviation)


def _rescaling(ov: Any, layer: Any, x: Any) -> Any:
    return _scaled(ov, x, np.asarray(layer.scale), np.asarray(layer.offset))


def _relu(ov: Any, layer: Any, x: Any) -> Any:
    if layer.threshold or layer.negative_slope:
        raise ConversionError("it has a threshold or a negative slope")
    return (ov.relu(x) if layer.max_value is None else ov.clamp(x, 0.0, layer.max_value)).output(0)


def _pooling(ov: Any, layer: Any, x: Any) -> Any:
    none, size, strides = [0, 0], list(layer.pool_size), list(layer.strides)
    if type(layer).__name__ == "MaxPooling2D":
        found = ov.max_pool(x, strides, [1, 1], none, none, size, "floor", _padding(layer))
    else:  # where the window passes the edge, Keras divides by the values inside
        found = ov.avg_pool(x, strides, none, none, size, True, "floor", _padding(layer))
    return found.output(0)


def _global_pooling(ov: Any, layer: Any, x: Any) -> Any:
    average = type(layer).__name__ == "GlobalAveragePooling2D"
    return (ov.reduce_mean if average else ov.reduce_max)(x, [2, 3], layer.keepdims).output(0)


def _combined(name: str) -> Rule:
    """The rule of a layer that combines a list of tensors, and of the operation on two."""

    def rule(ov: Any, layer: Any, *values: Any) -> Any:
        first, *others = values[0] if isinstance(values[0], list) else values
        for other in others:
            first, other = _alike(ov, first, other)
            first = getattr(ov, name)(first, other).output(0)
        return first

    return rule


def _alike(ov: Any, one: Any, other: Any) -> tuple[Any, Any]:
    """Two tensors of as many axes; a number or an array becomes a constant."""
    if not hasattr(one, "get_partial_shape"):
        return _constant(ov, one, other), other
    if not hasattr(other, "get_partial_shape"):
        return one, _constant(ov, other, one)
    if _rank(one) != _rank(other):
        raise ConversionError("it combines tensors with different numbers of axes")
    return one, other


def _scaled_sum(ov: Any, layer: Any, values: list[Any]) -> Any:
    shortcut, residual = values
    return ov.add(shortcut, _scaled(ov, residual, layer.scale, None)).output(0)


def _concatenate(ov: Any, layer: Any, values: list[Any]) -> Any:
    return ov.concat(values, _axis(layer.axis, values[0])).output(0)


def _zero_padding(ov: Any, layer: Any, x: Any) -> Any:
    (top, bottom), (left, right) = layer.padding
    return ov.pad(x, [0, 0, top, left], [0, 0, bottom, right], "constant").output(0)


def _cropping(ov: Any, layer: Any, x: Any) -> Any:
    (top, bottom), (left, right) = layer.cropping
    height, width = list(x.get_shape())[2:]
    ends = [height - bottom, width - right]
    return ov.slice(x, [top, left], ends, [1, 1], [2, 3]).output(0)


def _reshaped(ov: Any, x: Any, shape: tuple[int, ...]) -> Any:
    """Gives the images of a batch another shape, in Keras's order of axes."""
    batch = x.get_shape()[0]
    return to_nchw(ov, ov.reshape(to_nhwc(ov, x), [batch, *shape], False).output(0))


def _flip(ov: Any, operation: Any, x: Any) -> Any:
    axis = _axis(operation.axis, x)
    backwards = list(range(x.get_shape()[axis]))[::-1]
    return ov.gather(x, backwards, axis).output(0)


def _unchanged(ov: Any, layer: Any, x: Any) -> Any:
    return x


RULES: dict[str, Rule] = {
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise_conv2d,
    "SeparableConv2D": _separable_conv2d,
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "LayerScale": lambda ov, layer, x: _scaled(ov, x, layer.gamma, None),  # of ConvNeXt
    "CustomScaleLayer": _scaled_sum,  # of InceptionResNetV2
    "Activation": lambda ov, layer, x: _activation(ov, layer.activation, x),
    "ReLU": _relu,
    "LeakyReLU": lambda ov, layer, x: ov.prelu(x, np.float32(layer.negative_slope)).output(0),
    "MaxPooling2D": _pooling,
    "AveragePooling2D": _pooling,
    "GlobalAveragePooling2D": _global_pooling,
    "GlobalMaxPooling2D": _global_pooling,
    "Add": _combined("add"),
    "Subtract": _combined("subtract"),
    "Multiply": _combined("multiply"),
    "Maximum": _combined("maximum"),
    "Minimum": _combined("minimum"),
    "Concatenate": _concatenate,
    "ZeroPadding2D": _zero_padding,
    "Cropping2D": _cropping,
    "Flatten": lambda ov, layer, x: _reshaped(ov, x, (-1,)),
    "Reshape": lambda ov, layer, x: _reshaped(ov, x, layer.target_shape),
    "Flip": _flip,
    **dict.fromkeys(
        ("Identity", "Dropout", "SpatialDropout2D", "StochasticDepth", "ActivityRegularization"),
        _unchanged,
    ),
}
"""By the name of Keras's layer or operation, in inference mode."""
