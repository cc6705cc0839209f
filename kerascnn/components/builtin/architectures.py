"""The built-in architectures: `sequential_cnn`, and every network of `keras.applications`."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

from pydantic import Field

from kerascnn import (
    Component,
    InputError,
    Network,
    Params,
    Weights,
    build_once,
    classifier_head,
    flatten_model,
    hookimpl,
)
from kerascnn.components.builtin import applications as table
from kerascnn.components.builtin.applications import FAMILIES, RESCALING, Application
from kerascnn.components.builtin.ensemble import ENSEMBLE
from kerascnn.components.builtin.sequential import SEQUENTIAL_CNN


class PretrainedParams(Params):
    """A pretrained backbone under a new classifier."""

    weights: str = Field(
        "imagenet",
        description='"imagenet", "none" (random), or the path of a file: weights of the backbone '
        "(.h5, .weights.h5, .keras), or of an earlier network of this architecture (.weights.h5, "
        ".keras), whose classifier is dropped",
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Fraction of the features dropped before the classifier"
    )
    top: Literal["pooled", "original"] = Field(
        "pooled",
        description='The classifier: "pooled" is global average pooling and one dense layer; '
        '"original" is that of the paper, with random weights and its own dropout',
    )


@hookimpl
def kerascnn_architectures() -> list[Component]:
    return [SEQUENTIAL_CNN, ENSEMBLE, *map(_component, table.applications())]


def _component(application: Application) -> Component:
    return Component(
        application.name,
        partial(build, application),
        PretrainedParams,
        f"{application.constructor}: {int(application.parameters) / 1e6:.1f} M parameters, "
        f"arXiv {FAMILIES[application.family].paper}",
        partial(check, application),
        partial(weights, application),
    )


def check(application: Application, params: PretrainedParams, *, image_size: int) -> dict[str, str]:
    """Faults of the image size and of the file of weights: {key: fault}."""
    faults, smallest = {}, FAMILIES[application.family].smallest
    if image_size < smallest:
        faults["name"] = f"image_size = {image_size} is too small; the minimum is {smallest} pixels"
    if params.weights not in ("imagenet", "none") and (fault := _file_fault(params.weights)):
        faults["weights"] = fault
    return faults


def _file_fault(weights: str) -> str:
    path = Path(weights).expanduser()
    if path.suffix not in (".h5", ".keras"):
        return (
            'expected "imagenet", "none", or a file of weights with the suffix .h5, .weights.h5 or '
            ".keras"
        )
    return "" if path.is_file() else f"no such file, relative to {Path.cwd()}"


def weights(
    application: Application, params: PretrainedParams, *, image_size: int
) -> Weights | None:
    from kerascnn import is_fetched

    if params.weights == "none":
        return None
    if params.weights != "imagenet":
        path = Path(params.weights).expanduser()
        return Weights(params.weights, at_hand=path.is_file())
    url, hashes = _published(application, image_size)
    return Weights(
        url,
        FAMILIES[application.family].licence,
        application.trained_on,
        _native(application, image_size),
        is_fetched(url, **hashes),
    )


def build(
    application: Application, params: PretrainedParams, *, image_size: int, num_classes: int
) -> Network:
    """Builds a network of `keras.applications` with its preprocessing and a new classifier.

    It is one flat graph. Its blocks are the stem and the paper's units; a last convolution is a
    block of its own, a last normalization belongs to the last unit.

    Raises:
        InputError: The images are too small, or the weights are not available or do not fit.
    """
    import keras

    for key, fault in check(application, params, image_size=image_size).items():
        named = f'weights = "{params.weights}"' if key == "weights" else application.name
        raise InputError(f"{named}: {fault}.")
    path = _weights_file(application, params.weights, image_size)
    images = keras.Input((image_size, image_size, 3), name="images")
    if params.top == "original":
        backbone, probabilities = _with_top(application, images, num_classes)
        _load(backbone, path, application.name)
    else:
        changed = path.stat().st_mtime_ns if path else 0
        decides = (application.name, image_size, str(path), changed)
        backbone = build_once(decides, partial(_loaded, application, images, path))
        (images,) = backbone.inputs  # a list of them in some families
        probabilities = classifier_head(backbone.output, num_classes, dropout=params.dropout)
    blocks = table.blocks(backbone, FAMILIES[application.family])
    if any(isinstance(layer, keras.Model) for layer in backbone.layers):
        probabilities = flatten_model(keras.Model(images, probabilities), images)
    model = keras.Model(images, probabilities, name=application.name)
    return Network(model, blocks)


def preprocess(images: Any, rescaling: str) -> Any:
    """Rescales images, float32 [B, H, W, 3] in 0-255, as the pretrained weights expect."""
    from keras import layers, ops

    if rescaling == "caffe":
        images = ops.flip(images, axis=-1)  # RGB to BGR
    # float32 even under mixed precision, which would round the pixels before they are centred
    return layers.Rescaling(*RESCALING[rescaling], dtype="float32", name="preprocess")(images)


def _loaded(application: Application, images: Any, path: Path | None) -> Any:
    backbone = _backbone(application, images)
    _load(backbone, path, application.name)
    return backbone


def _with_top(application: Application, images: Any, classes: int) -> Any:
    """The network with Keras's own classifier: its backbone and its probabilities."""
    import keras

    end = len(_backbone(application, images).operations)
    whole = _backbone(application, images, classes)
    for layer in whole.operations[end:]:
        layer.name = f"head_{layer.name}"
    backbone = keras.Model(whole.input, whole.operations[end - 1].output)
    last = keras.layers.Activation("linear", dtype="float32", name="head_float32")
    return backbone, whole.output if whole.output.dtype == "float32" else last(whole.output)


def _backbone(application: Application, images: Any, classes: int | None = None) -> Any:
    import keras

    family = FAMILIES[application.family]
    try:
        return getattr(keras.applications, application.constructor)(
            include_top=classes is not None,
            classes=classes or 1000,
            weights=None,
            input_tensor=preprocess(images, family.rescaling),
            input_shape=images.shape[1:],
            **dict(family.options),
        )
    except ValueError as error:
        raise InputError(
            f"{application.name}: Keras cannot build it on {keras.backend.backend()}: {error}"
        ) from error


def _weights_file(application: Application, weights: str, image_size: int) -> Path | None:
    from kerascnn import fetch

    if weights == "none":
        return None
    if weights == "imagenet":
        url, hashes = _published(application, image_size)
        return fetch(url, **hashes, about_bytes=4 * int(application.parameters))
    return Path(weights).expanduser()


def _published(application: Application, image_size: int) -> tuple[str, dict[str, str | None]]:
    """The address of the ImageNet weights for images of this size, and their hashes."""
    url = table.PUBLISHER + application.weights.format(size=_native(application, image_size))
    return url, {"md5": application.md5 or None, "sha256": application.sha256 or None}


def _native(application: Application, image_size: int) -> int:
    """The size of the images that the weights were trained on, pixels."""
    sizes = FAMILIES[application.family].sizes
    return image_size if image_size in sizes else int(application.image_size)


def _load(backbone: Any, path: Path | None, name: str) -> None:
    from keras import layers

    if path is None:
        return
    # EfficientNet's own Normalization stays the identity: `preprocess` has normalized, and the
    # published file has the deviation where the layer expects the variance (tensorflow#49930).
    own = [layer for layer in backbone.layers if isinstance(layer, layers.Normalization)]
    identities = [layer.get_weights() for layer in own]
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras issues a hundred before each error
            backbone.load_weights(path)
    except (ValueError, KeyError, OSError, BadZipFile) as error:
        reason = str(error).partition("\n\nList of objects")[0].replace("\n\n", " ")
        raise InputError(
            f'weights file "{path}" does not fit {name}: expected the weights of its '
            f"layers in order, without a classifier. Keras reports: {reason}"
        ) from error
    for layer, identity in zip(own, identities, strict=True):
        layer.set_weights(identity)
        layer.finalize_state()
