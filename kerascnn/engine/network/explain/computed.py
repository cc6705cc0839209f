"""What the layers of a network compute: feature maps, and how a filter makes one of others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.network.explain.maps import as_maps, spatial_call
from kerascnn.engine.network.inference import to_numpy
from kerascnn.errors import InputError
from kerascnn.runtime.keras_internals import last_calls, nested_layers


def feature_maps(model: Any, image: np.ndarray, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """The maps, float32 [h, w, C], of each layer for one image [S, S, 3] in 0-255.

    Raises:
        InputError: There is no such layer, or its output is not feature maps.
    """
    maps = _run(model, image[None], {name: spatial_call(model, name).outputs[0] for name in layers})
    return {name: as_maps(of_image)[0] for name, of_image in maps.items()}


def _run(model: Any, images: np.ndarray, tensors: dict[str, Any]) -> dict[str, np.ndarray]:
    """Runs a few images through a part of the network, without compiling it."""
    import keras

    outputs = keras.Model(model.input, tensors)(images.astype(np.float32), training=False)
    first = slice(len(images))  # an ensemble's views of them come after the images
    return {name: to_numpy(output).astype(np.float32)[first] for name, output in outputs.items()}


def first_kernels(model: Any) -> np.ndarray:
    """The kernels of the first convolution, with its input channels in RGB order.

    Returns:
        float32 [kh, kw, C_in, C_out]; C_in is 1 for a depthwise convolution.

    Raises:
        InputError: The network has no convolution.
    """
    from keras import layers

    for node in last_calls(model).values():
        for layer in (node.operation, *nested_layers(node.operation)):
            if isinstance(layer, layers.DepthwiseConv2D | layers.SeparableConv2D):
                kernel = to_numpy(getattr(layer, "depthwise_kernel", None) or layer.kernel)
                return kernel.reshape(*kernel.shape[:2], 1, -1).astype(np.float32)
            if isinstance(layer, layers.Conv2D):
                return to_numpy(layer.kernel)[:, :, _channels(model, node)].astype(np.float32)
    raise InputError(f'the network "{model.name}" has no convolution.')


def kernel_images(kernels: np.ndarray) -> np.ndarray:
    """Kernels [kh, kw, C_in, N] as images uint8 [N, kh, kw, 3], each scaled by itself; 0 is grey.

    If C_in is not 3, the mean of the channels is shown.
    """
    shown = np.moveaxis(kernels, -1, 0)
    if shown.shape[-1] != 3:
        shown = np.repeat(shown.mean(-1, keepdims=True), 3, -1)
    greatest = np.abs(shown).max((1, 2, 3), keepdims=True)
    return (127.5 + 127.5 * shown / np.maximum(greatest, 1e-12)).astype(np.uint8)


def _channels(model: Any, node: Any) -> Any:
    """The input channels of the node for red, green and blue: some networks use BGR."""
    inputs = node.input_tensors[0]
    if inputs.shape[-1] != 3:
        return slice(None)
    size = model.input_shape[1]
    colours = np.zeros((4, size, size, 3), np.float32)
    colours[[1, 2, 3], :, :, [0, 1, 2]] = 255
    black, *seen = _run(model, colours, {"seen": inputs})["seen"]
    order = [int(np.abs(colour - black).mean((0, 1)).argmax()) for colour in seen]
    return order if sorted(order) == [0, 1, 2] else slice(None)


@dataclass(frozen=True)
class Parts:
    """How one filter of a convolution computes its output: the sum of the parts, plus the bias."""

    inputs: np.ndarray  # the input feature maps, float32 [h, w, C_in]
    kernel: np.ndarray  # the filter, float32 [kh, kw, C_in]
    parts: np.ndarray  # each input channel with its slice of the filter, float32 [h', w', C_in]
    bias: float  # the filter's; 0 without one

    @property
    def output(self) -> np.ndarray:
        """The sum, before the activation, float32 [h', w']."""
        return self.parts.sum(-1) + self.bias


def convolution_parts(model: Any, image: np.ndarray, layer: str, filter: int) -> Parts:
    """Splits the output of one filter into its parts, for one image [S, S, 3] in 0-255.

    Raises:
        InputError: The layer is not a convolution over all input channels, or has no such filter.
    """
    from keras import layers, ops

    node = spatial_call(model, layer)
    convolution = node.operation
    if type(convolution) is not layers.Conv2D or convolution.groups != 1:
        raise InputError(
            f'the layer "{layer}" is not a convolution over all of its input channels.'
        )
    if not 0 <= filter < convolution.filters:
        raise InputError(f'"{layer}" has the filters 0 to {convolution.filters - 1}, not {filter}.')
    inputs = _run(model, image[None], {layer: node.input_tensors[0]})[layer]  # [1, h, w, C_in]
    kernel = to_numpy(convolution.kernel)[..., filter].astype(np.float32)  # [kh, kw, C_in]
    parts = ops.depthwise_conv(
        inputs,
        kernel[..., None],
        strides=convolution.strides,
        padding=convolution.padding,
        dilation_rate=convolution.dilation_rate,
    )
    bias = float(to_numpy(convolution.bias)[filter]) if convolution.use_bias else 0.0
    return Parts(inputs[0], kernel, to_numpy(parts)[0], bias)
