"""One network of several: what they share is computed once, and their probabilities are averaged.

The mean of several networks' probabilities errs less than each of them (Lakshminarayanan et al.
2017, arXiv 1612.01474).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.metrics.calibration import AS_TRAINED
from kerascnn.engine.metrics.score import LEAST_PROBABILITY
from kerascnn.engine.network.flat import Flattening
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.network.resampling import resampling
from kerascnn.engine.network.structure import frozen_settings
from kerascnn.runtime.keras_internals import last_calls, named, nested_layers, node_behind

MEMBER, SEEN, SHARE, MIXTURE = "member", "views", "head_share", "head_mixture"

VIEWS = {
    1: "the image as it is",
    2: "the image and its mirror image",
    4: "the image, its central part enlarged, and both mirrored",
}
CENTRE = 7 / 8
"""The share of width and height that the enlarged part has."""


@dataclass(frozen=True)
class Part:
    """A network to join with others.

    Args:
        model: A functional model from [B, S, S, 3] in 0-255 to probabilities [B, K].
        packed_size: P, at least S; the whole image is resized to [P, P], and its middle [S, S] is
            the input.
        temperature: Calibrates its probabilities.
        weight: Its share of the mean; those of all sum to 1.
    """

    model: Any
    packed_size: int
    temperature: float
    weight: float


def join(parts: Sequence[Part], image_size: int, views: int = 1) -> Any:
    """Makes one functional model of several.

    Layers of the same settings and weights on the same input are one layer of the whole, so that
    members which share a frozen prefix run it once. All weights are copies.

    Args:
        parts: The members, at least one, of the same number of classes K.
        image_size: Pixels S of the whole.
        views: 1, 2 or 4, a key of `VIEWS`: what the probabilities are averaged over.

    Returns:
        A model from float32 [B, S, S, 3] in 0-255 to probabilities float32 [B, K]. The layers of
        member N, from 1, are named `memberN_…`; those shared have the name of the first.
    """
    import keras
    from keras import layers

    images = keras.Input((image_size, image_size, 3), name="images", dtype="float32")
    whole, share = _Whole(views), _Sharing()
    flattening = Flattening([images], share)
    seen, said = whole.seen(images), []
    for number, part in enumerate(parts, 1):
        inputs = whole.for_member(seen, part, f"{MEMBER}{number}_")
        placed = keras.tree.pack_sequence_as(part.model.input, [inputs])
        outputs = flattening.put(part.model, placed, f"{MEMBER}{number}_")
        (probabilities,) = keras.tree.flatten(outputs)
        probabilities = calibrated(probabilities, part.temperature, f"calibrated{number}")
        said.append(whole.mean(probabilities, f"views{number}"))  # [B, K]
    shares = [
        _weighted(one, part.weight, f"{SHARE}{number}")
        for number, (one, part) in enumerate(zip(said, parts, strict=True), 1)
    ]
    mixed = layers.Add(dtype="float32", name=MIXTURE)(shares) if len(shares) > 1 else shares[0]
    return keras.Model(images, mixed, name="ensemble")


@dataclass(frozen=True)
class JoinedMember:
    """A member of a joined model.

    Args:
        model: From the images of the whole to its probabilities, as it was trained. Where the whole
            averages views, [V · B, K]: first those of the images as they are.
        weight: Its share of the mean.
    """

    model: Any
    weight: float


def member_probabilities(model: Any) -> list[Any]:
    """The calibrated probabilities [B, K] of each member of a joined model; [] of other models."""
    return [node_behind(share).input_tensors[0] for share in _shares(model)]


def view_count(model: Any) -> int:
    """V, the number of views that a joined model averages over; 1 of other models."""
    views = last_calls(model).get(SEEN)
    return len(views.input_tensors) if views else 1


def _shares(model: Any) -> list[Any]:
    """The weighted probabilities [B, K] of each member of a joined model; [] of other models."""
    mixture = last_calls(model).get(MIXTURE)
    return list(mixture.input_tensors) if mixture else []


def members_of(model: Any) -> list[JoinedMember]:
    """The members of a joined model, in their order; none of another model."""
    import keras

    found = []
    for share in _shares(model):
        node = node_behind(share)
        weight = float(to_numpy(node.operation.kernel)[0])
        probabilities = _as_trained(node.input_tensors[0])
        found.append(JoinedMember(keras.Model(model.input, probabilities), weight))
    return found


def _weighted(probabilities: Any, weight: float, name: str) -> Any:
    """Probabilities [B, K] times a weight that the layer keeps for each class."""
    from keras import layers

    classes = probabilities.shape[-1]
    layer = layers.EinsumDense("bk,k->bk", (classes,), dtype="float32", name=name)
    weighted = layer(probabilities)
    layer.set_weights([np.full(classes, weight, np.float32)])
    return weighted


def _as_trained(tensor: Any) -> Any:
    """The last output of a member's own layers before a tensor."""
    while not node_behind(tensor).operation.name.startswith(MEMBER):
        (tensor,) = node_behind(tensor).input_tensors
    return tensor


def calibrated(probabilities: Any, temperature: float, name: str) -> Any:
    """A network's probabilities with a temperature, as by `metrics.calibration.tempered`.

    `name` begins the names of its operations.
    """
    from keras import ops

    if temperature == AS_TRAINED:
        return probabilities
    floored = named(ops.maximum(probabilities, LEAST_PROBABILITY), f"{name}_floor")
    scores = named(named(ops.log(floored), f"{name}_log") / temperature, f"{name}_scores")
    return named(ops.softmax(scores), name)


class _Whole:
    """What the members of a model see of its images."""

    def __init__(self, views: int) -> None:
        self._views = views
        self._made: dict[tuple[int, int], Any] = {}

    def seen(self, images: Any) -> Any:
        """The views of images [B, S, S, 3], one after another: [V · B, S, S, 3]."""
        from keras import ops

        if self._views == 1:
            return images
        views, size = [images], images.shape[1]
        if self._views == 4:
            packed = round(size / CENTRE)
            views.append(_resized(images, packed, size, "centre_"))
        mirrored = [
            named(ops.flip(view, axis=2), f"mirrored{number}") for number, view in enumerate(views)
        ]
        return named(ops.concatenate([*views, *mirrored], axis=0), SEEN)

    def for_member(self, seen: Any, part: Part, prefix: str) -> Any:
        """Its input, resized once for all members of the same size."""
        size = part.model.input_shape[1]
        if part.packed_size == size == seen.shape[1]:
            return seen
        if (part.packed_size, size) not in self._made:
            self._made[part.packed_size, size] = _resized(seen, part.packed_size, size, prefix)
        return self._made[part.packed_size, size]

    def mean(self, probabilities: Any, name: str) -> Any:
        """The mean over the views: [B, K] of [V · B, K]."""
        from keras import ops

        if self._views == 1:
            return probabilities
        by_view = ops.reshape(probabilities, (self._views, -1, probabilities.shape[-1]))
        return named(ops.mean(named(by_view, name), axis=0), f"{name}_mean")


def _resized(images: Any, packed: int, size: int, prefix: str) -> Any:
    """The middle [S, S] of images resized to [P, P], by two layers with fixed weights."""
    from keras import layers

    before = images.shape[1]
    matrix = resampling(before, packed)[(packed - size) // 2 :][:size].T  # [before, S]
    rows = layers.EinsumDense(
        "bhwc,ho->bowc", (size, before, 3), dtype="float32", name=f"{prefix}rows", trainable=False
    )
    columns = layers.EinsumDense(
        "bhwc,wo->bhoc", (size, size, 3), dtype="float32", name=f"{prefix}columns", trainable=False
    )
    resized = columns(rows(images))
    for layer in (rows, columns):
        layer.set_weights([matrix])
    return resized


class _Sharing:
    """Calls each layer once for each input, whichever member it belongs to."""

    def __init__(self) -> None:
        self._made: dict[Any, tuple[Any, Any]] = {}

    def __call__(
        self, operation: Any, args: Any, kwargs: Any, make: Callable[[Any, Any], tuple[Any, Any]]
    ) -> tuple[Any, Any]:
        import keras

        known = _identity(operation)
        tensors = keras.tree.map_structure(_known, [args, kwargs])
        key = known and (known, json.dumps(tensors, sort_keys=True, default=id))
        if not key:
            return make(args, kwargs)
        if key not in self._made:
            self._made[key] = make(args, kwargs)
        return self._made[key]


def _known(value: Any) -> Any:
    import keras

    return f"tensor {id(value)}" if isinstance(value, keras.KerasTensor) else value


def _identity(operation: Any) -> str:
    """SHA-256 of an operation's class, settings and weights; "" if it does not tell its settings.

    Names and what is trainable are left out.
    """
    import keras

    try:
        config = {**frozen_settings(operation.get_config()), "name": ""}
        settings = json.dumps(config, sort_keys=True)
    except Exception:  # of a plugin's layer: it is not shared
        return ""
    kind = f"{type(operation).__module__}.{type(operation).__qualname__}"
    sha256 = hashlib.sha256(f"{kind} {settings}".encode())
    if isinstance(operation, keras.Layer):
        for layer in (operation, *nested_layers(operation)):
            store: dict[str, Any] = {}
            layer.save_own_variables(store)
            for name, value in sorted(store.items()):
                values = np.ascontiguousarray(to_numpy(value))
                sha256.update(f"{name} {values.shape} {values.dtype}".encode() + values.tobytes())
    return sha256.hexdigest()
