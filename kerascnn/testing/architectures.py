"""The checks of an architecture: its contract, its blocks, and how stages use it."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.build import HEAD, build_network
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.network.loadable import loading_advice, modules_to_import
from kerascnn.engine.network.saved import load_model
from kerascnn.errors import InputError
from kerascnn.hookspecs import Network, kerascnn_architectures
from kerascnn.runtime.keras_internals import nodes_in_order
from kerascnn.testing.architecture_subject import CLASSES, ArchitectureSubject, freeze
from kerascnn.testing.checks import CheckError, SkipError, check
from kerascnn.testing.other_processes import in_a_new_process, on_other_backends
from kerascnn.testing.predictions import CLOSE, predictor, same

LARGEST_INPUT = 160  # a white pixel minus ImageNet's mean is 151
LEAST_SPREAD = 0.05  # of the first kernel's input; pixels in 0-1 have 0.2 or more
CUTS = 3  # with no block, some, and all but one frozen
CLOSE_ELSEWHERE = 5e-3  # the same between backends: a GPU may convolve in TF32
NUDGE = 1e-6  # relative, as of rounding; hundreds of untrained layers can amplify it
GOLDEN_SIZE, DAISY = 224, 985


@check(kerascnn_architectures)
def builds(subject: ArchitectureSubject) -> str:
    """The builder returns a kerascnn.Network or a functional keras.Model from float32
    [B, S, S, 3] to float32 [B, K]. The classifier's layers are named head_…; all other layers
    with weights are in blocks."""
    built = subject.made
    return f"{built.parameters():,} parameters in {len(built.blocks)} blocks"


@check(Network)
def rescales_inside(subject: ArchitectureSubject) -> str:
    """The network takes images in 0-255 and rescales them once, itself: the input of its first
    kernel is within 160 of zero (ImageNet's mean subtracted), with a standard deviation of at
    least 0.05."""
    seen = _at_first_kernel(subject.made.model, subject.images)
    values = f"{seen.min():.3g} to {seen.max():.3g}"
    if abs(seen).max() > LARGEST_INPUT or seen.std() < LEAST_SPREAD:
        raise CheckError(f"{values}, standard deviation {seen.std():.2g}")
    return values


def _at_first_kernel(model: Any, inputs: Any) -> np.ndarray:
    """The input of the first layer with a kernel."""
    import keras

    first = next(
        node
        for node in nodes_in_order(model)
        if any(len(w.shape) >= 2 for w in getattr(node.operation, "weights", ()))
    )
    return to_numpy(keras.Model(model.input, first.input_tensors[0])(inputs)).astype(np.float32)


@check(kerascnn_architectures)
def golden_image(subject: ArchitectureSubject) -> str:
    """With ImageNet weights and the ImageNet classifier, an image of a daisy is recognised as
    class 985, daisy."""
    if not subject.made.pretrained:
        raise SkipError("it has no pretrained weights")
    if subject.imagenet_classifier is None:
        raise SkipError("no imagenet_classifier is given")
    kernel, bias = subject.imagenet_classifier()
    model = build_network(subject.bound, image_size=GOLDEN_SIZE, num_classes=1000).model
    head = [layer for layer in model.layers if layer.name.startswith(f"{HEAD}_") and layer.weights]
    head[-1].set_weights([kernel, bias])
    (probabilities,) = predictor(model)(_daisy()[None])
    best = int(probabilities.argmax())
    if best != DAISY:
        raise CheckError(f"class {best} with probability {probabilities[best]:.3f}")
    return f"daisy {probabilities[best]:.3f}"


def _daisy() -> np.ndarray:
    """scikit-learn's sample image, float32 [224, 224, 3]."""
    from PIL import Image

    try:
        from sklearn.datasets import load_sample_image
    except ImportError as error:
        raise SkipError("scikit-learn, which has the image, is not installed") from error
    image = Image.fromarray(load_sample_image("flower.jpg"))
    return np.asarray(image.resize((GOLDEN_SIZE, GOLDEN_SIZE)), np.float32)


@check(Network)
def probabilities(subject: ArchitectureSubject) -> None:
    """For every image in 0-255 the probabilities are finite, not negative, and sum to 1."""
    extremes = np.zeros((2, *subject.images.shape[1:]), np.float32)
    extremes[1] = 255
    given = subject.predict(np.concatenate([subject.images, extremes]))
    sums = given.sum(axis=1)
    for row in np.flatnonzero(~((abs(sums - 1) < CLOSE) & (given.min(axis=1) >= 0)))[:1]:
        raise CheckError(f"{np.array2string(given[row], precision=3)}, with sum {sums[row]:.6g}")


@check(Network)
def blocks_in_order(subject: ArchitectureSubject) -> str:
    """Every layer with weights is in a block. From the input to the output, each block is one
    contiguous span, in the listed order, with the head last."""
    spans = [block for block, _ in subject.spans]
    for index, (block, layers) in enumerate(subject.spans):
        if block in spans[:index]:
            other, (between, *_) = subject.spans[index - 1]
            raise CheckError(
                f'the layer "{between}" is in block "{other}", and "{layers[0]}" after it is in '
                f'block "{block}", which began before it'
            )
    if spans[-1] != HEAD or not subject.made.blocks:
        raise CheckError(f"the blocks in the network's order: {', '.join(spans)}")
    made = subject.bound.build(image_size=subject.image_size, num_classes=CLASSES)
    listed = [b for b in made.blocks if b != HEAD] if isinstance(made, Network) else []
    for block in (block for block in listed if block not in spans):
        raise CheckError(
            f'no layer with weights is in block "{block}": the patterns {list(made.blocks[block])} '
            "match none, or only layers that a block before it matches"
        )
    if listed and listed != spans[:-1]:
        raise CheckError(f"listed: {', '.join(listed)}; in the network: {', '.join(spans[:-1])}")
    return _shortened(spans)


@check(kerascnn_architectures)
def saves_and_loads(subject: ArchitectureSubject) -> str:
    """Saved as a .keras file and loaded again, the network predicts the same: in a new process if
    not all of its layers are Keras's."""
    modules = modules_to_import(subject.made)
    with tempfile.TemporaryDirectory() as folder:
        subject.made.model.save(file := Path(folder) / "model.keras")
        predict = partial(in_a_new_process, _predictions_of) if modules else _predictions_of
        try:
            loaded = predict(file, modules, subject.images)
        except (CheckError, InputError) as error:
            said = str(error).replace(f"{file}: ", "")
            raise CheckError(said + loading_advice(subject.made.model, said)) from error
        same(loaded, subject.predictions, "loaded", CLOSE)
        return f"{file.stat().st_size / 1e6:.1f} MB" + (", in a new process" if modules else "")


def _predictions_of(file: Path, modules: list[str], images: np.ndarray) -> np.ndarray:
    return predictor(load_model(file, (), modules))(images)


@check(kerascnn_architectures)
def prefix_then_suffix(subject: ArchitectureSubject) -> str:
    """Cut where a stage cuts it, the frozen prefix followed by the trainable suffix predicts the
    same as the whole network."""
    expected, boundaries = subject.predictions, []
    depths = np.linspace(0, max(0, len(subject.made.blocks) - 1), CUTS).round().astype(int)
    for count in np.unique(depths).tolist():
        parts = cut(freeze(subject.made, count))
        activations = subject.images
        if parts.prefix is not None:
            activations = predictor(parts.prefix)(activations)
        same(predictor(parts.suffix)(activations), expected, f"after {parts.boundary}", CLOSE)
        boundaries.append(parts.boundary)
    return _shortened(list(dict.fromkeys(reversed(boundaries))))


@check(kerascnn_architectures)
def backends_agree(subject: ArchitectureSubject) -> str:
    """With the same weights the network predicts the same on every backend."""
    weights = [to_numpy(weight.value) for weight in subject.made.model.weights]
    elsewhere = on_other_backends(_predictions_with, subject, weights)
    try:
        for backend, found in elsewhere.items():
            same(found, subject.predictions, f"on {backend}", CLOSE_ELSEWHERE)
    except CheckError:
        _skip_if_rounding_decides(subject)
        raise
    return ", ".join(elsewhere)


def _skip_if_rounding_decides(subject: ArchitectureSubject) -> None:
    nudged = subject.predict(subject.images * np.float32(1 + NUDGE))
    if (distance := abs(nudged - subject.predictions).max()) > CLOSE_ELSEWHERE:
        raise SkipError(
            f"images brighter by a millionth change its probabilities by {distance:.2g}: rounding "
            "decides"
        )


def _predictions_with(subject: ArchitectureSubject, weights: list[np.ndarray]) -> np.ndarray:
    model = subject.build().model
    shapes = [tuple(weight.shape) for weight in model.weights]
    if shapes != [weight.shape for weight in weights]:
        raise CheckError("its weights are different, or in another order")
    model.set_weights(weights)
    return predictor(model)(subject.images)


def _shortened(names: list[str]) -> str:
    middle = ["…", *names[-2:]] if len(names) > 6 else names[4:]
    return ", ".join(names[:4] + middle)
