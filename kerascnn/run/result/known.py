"""What a run keeps of images: their features, and which they are."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.network.outputs import features_model
from kerascnn.engine.network.prefix.activations import Prefix
from kerascnn.engine.prepared import Prepared
from kerascnn.results.known.held_out import HELD_OUT
from kerascnn.results.known.images import TRAIN, KnownImages
from kerascnn.run.result.result import Evaluated

LIMIT = 100_000
"""Images kept of each split; of more, as many at random."""
TO_COMPUTE = 100
"""Training images kept of each class if their features are not stored: computing those of all takes
a good part of the time of training."""
PIECE = 4096
"""Images whose outputs are in memory at a time."""
KEPT = np.dtype(np.float16)


def known_images(
    prepared: Prepared, evaluated: Evaluated, warned: Callable[[str], None]
) -> KnownImages:
    """The training images of a trained network and those that set thresholds, with their features.

    No image is twice among them, and no test image unless it sets thresholds. `warned` receives a
    note if some are left out.
    """
    data, seed = prepared.data, prepared.experiment.seed
    rows = _others(data.train, data.test, seed)
    frozen = _frozen(prepared, data.train.at(rows))
    if frozen is None:
        rows = _of_each_class(rows, data.train.labels, seed)
    if len(rows) == LIMIT:
        warned(
            f"the features of {LIMIT:,} of the training images are kept, drawn at random: similar "
            "images are searched among those."
        )
    train = data.train.at(rows)
    parts = {TRAIN: (train, _features(prepared, evaluated, train, frozen))}
    if name := HELD_OUT.get(prepared.experiment.training.train_on):
        split = data.splits()[name]
        held = _others(split, train, seed)
        parts[name] = split.at(held), evaluated.features[name][held]
    return KnownImages.of(parts, data.class_names)


def _others(split: Packed, other: Packed, seed: int) -> np.ndarray:
    """The rows of a split that another does not have, at most `LIMIT`, drawn at random."""
    there = {content.tobytes() for content in other.contents}
    rows = np.flatnonzero([content.tobytes() not in there for content in split.contents])
    if len(rows) <= LIMIT:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, LIMIT, replace=False))


def _of_each_class(rows: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """At most `TO_COMPUTE` of these rows of each class, drawn at random."""
    drawn = np.random.default_rng(seed).permutation(rows)
    kept = [drawn[labels[drawn] == label][:TO_COMPUTE] for label in np.unique(labels)]
    return np.sort(np.concatenate(kept))


def _features(
    prepared: Prepared, evaluated: Evaluated, split: Packed, frozen: Any | None
) -> np.ndarray:
    """Of unit length: [N, F]; what is stored of a network is not computed again.

    Args:
        frozen: What `_frozen` has of the split.
    """
    answer = evaluated.answer
    if frozen is not None:
        return _in_pieces(lambda rows: answer.outputs.of_unit_length(frozen[rows]), len(split))
    windows = Preparation.of(prepared.experiment.training).windows

    def features_of(rows: np.ndarray) -> np.ndarray:
        some = split.at(rows)
        return answer(windows(some.images), some.digests).features

    return _in_pieces(features_of, len(split))


def _frozen(prepared: Prepared, split: Packed) -> Any | None:
    """The stored activations at the features, indexed by rows, if all before them was frozen."""
    model = features_model(prepared.network.model)
    if model is None or not prepared.plans:
        return None
    plan = prepared.plans[-1]
    how = (plan.prefix_precision, plan.built_by, plan.prefix_engine)
    return Prefix(model, plan.architecture, *how).at_hand(split.digests, "images")


def _in_pieces(features_of: Callable[[np.ndarray], np.ndarray], count: int) -> np.ndarray:
    pieces = np.array_split(np.arange(count), -(-count // PIECE))
    return np.concatenate([features_of(rows).astype(KEPT) for rows in pieces])
