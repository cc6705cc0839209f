"""What a network gives besides its probabilities: those of its members, and its features.

Features are the inputs of the classifier's last layer in inference mode, as in Sun et al. 2022,
arXiv 2204.06507.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.network.build import HEAD
from kerascnn.engine.network.joined import MEMBER, member_probabilities, view_count
from kerascnn.runtime.keras_internals import named, node_behind, nodes_in_order

_HEAD = re.compile(rf"({MEMBER}\d+_)?{HEAD}_")


@dataclass(frozen=True)
class Said:
    """What a network says of N images.

    Args:
        probabilities: float32 [N, K].
        members: Those of an ensemble's members, calibrated: float32 [M, N, K]; M is 0 for other
            networks.
        features: Of unit length: float32 [N, F].
    """

    probabilities: np.ndarray
    members: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Outputs:
    """A network with all its outputs side by side.

    Args:
        model: From images [B, S, S, 3] to the probabilities of the whole and of its members, and
            features: float32 [B, (1 + M) · K + F].
        classes: K.
        probabilities: (1 + M) · K.
        widths: The number of features of each member, or of the network alone; they sum to F.
    """

    model: Any
    classes: int
    probabilities: int
    widths: tuple[int, ...]

    def said(self, values: np.ndarray) -> Said:
        """What the model's outputs, float32 [N, (1 + M) · K + F], are."""
        probabilities, features = np.split(values, [self.probabilities], axis=1)
        each = np.moveaxis(probabilities.reshape(len(values), -1, self.classes), 1, 0)
        return Said(each[0], each[1:], self.of_unit_length(features))

    def of_unit_length(self, features: np.ndarray) -> np.ndarray:
        """Features [N, F] of unit length, float32; those of each member have the same share."""
        parts = np.split(features.astype(np.float32), np.cumsum(self.widths)[:-1], axis=1)
        lengths = [np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
        scaled = [
            part / np.maximum(length, np.finfo(np.float32).tiny) / np.sqrt(len(parts))
            for part, length in zip(parts, lengths, strict=True)
        ]
        return np.concatenate(scaled, axis=1)


def with_outputs(model: Any) -> Outputs:
    """A trained network, or one of several, with all that it gives."""
    import keras
    from keras import layers

    probabilities = [model.output, *member_probabilities(model)]
    views = view_count(model)
    features = [
        _mean(_pooled(of, number), views, number)
        for number, of in enumerate(_before_classifiers(model), 1)
    ]
    joined = layers.Concatenate(dtype="float32", name="outputs")([*probabilities, *features])
    classes = model.output_shape[-1]
    widths = tuple(of.shape[-1] for of in features)
    whole = keras.Model(model.input, joined)
    return Outputs(whole, classes, len(probabilities) * classes, widths)


def features_model(model: Any) -> Any | None:
    """From images to features [B, F], not of unit length; None for an ensemble."""
    import keras

    features = _before_classifiers(model)
    return keras.Model(model.input, _pooled(features[0], 1)) if len(features) == 1 else None


def _before_classifiers(model: Any) -> Sequence[Any]:
    """The inputs of the last layer with weights in the head of the network, or of each member."""
    weighted = (node for node in nodes_in_order(model) if getattr(node.operation, "weights", ()))
    found = ((_HEAD.match(node.operation.name), node) for node in weighted)
    last = {of_head[1]: node for of_head, node in found if of_head}
    if len(last) > 1:
        last.pop(None, None)  # the shares of the members
    return [_without_dropout(node.input_tensors[0]) for node in last.values()]


def _without_dropout(tensor: Any) -> Any:
    """The tensor before layers that change nothing in inference mode."""
    from keras import layers

    while isinstance((node := node_behind(tensor)).operation, layers.Dropout):
        (tensor,) = node.input_tensors
    return tensor


def _pooled(features: Any, number: int) -> Any:
    """Features [B, ..., C] as [B, C], averaged over all positions."""
    from keras import ops

    axes = tuple(range(1, len(features.shape) - 1))
    return named(ops.mean(features, axis=axes), f"features{number}_pool") if axes else features


def _mean(features: Any, views: int, number: int) -> Any:
    """The mean over the views: [B, F] of [V · B, F]."""
    from keras import ops

    if views == 1:
        return features
    by_view = ops.reshape(features, (views, -1, features.shape[-1]))
    return named(ops.mean(named(by_view, f"features{number}"), axis=0), f"features{number}_mean")
