"""A network without its head: its features of images, from the cache as far as they are there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepare import prepare_network
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.inputs import FLOAT_BYTES
from kerascnn.engine.training.listener import Listener
from kerascnn.engine.training.views import PrefixRuns, run_prefix
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.runtime.determinism import make_reproducible
from kerascnn.runtime.files import GB
from kerascnn.studies.features.images import FoldedImages


@dataclass(frozen=True)
class Features:
    """The features of images.

    Args:
        values: float32 [N, F].
        stored: Number of images whose features the cache had.
    """

    values: np.ndarray
    stored: int


@dataclass(frozen=True)
class Extractor:
    """A frozen part of a network, from images to features.

    Args:
        name: Of the network, for messages.
        prepared: Its first stage augments nothing.
        model: From images to features.
        boundary: Its last layer, or what else it ends with, for the listing of the cache.
    """

    name: str
    prepared: Prepared
    model: Any
    boundary: str

    def features(self, splits: Sequence[Packed], observer: Observer) -> Features:
        """Runs once over the images of some splits; each is stored by its content.

        Args:
            splits: Prepared as those of the experiment are.
            observer: Receives progress and warnings.

        Raises:
            InputError: The features do not fit the cache.
        """
        plan, total = self.prepared.plans[0], sum(map(len, splits))
        _check_budget(self.name, FLOAT_BYTES * total * self.length, plan.activation_bytes)
        windows = Preparation.of(self.prepared.experiment.training).windows
        examples = [Examples(windows(of.images), of.labels, of.digests) for of in splits]

        def use(runs: PrefixRuns) -> np.ndarray:
            rows = [np.asarray(runs.images(split)[:], np.float32) for split in examples]
            return np.concatenate(rows).reshape(total, -1)

        progress: Callable[[int, int], None] = partial(observer.progress, f"probing {self.name}")
        listener = Listener(prefix=progress, warned=observer.warned)
        runs, values = run_prefix(self.model, self.boundary, plan, total, listener, use)
        return Features(values, runs.reused)

    @property
    def length(self) -> int:
        """Number of features per image, F."""
        return prod(self.model.output_shape[1:])


def prepare_features(
    experiment: BoundExperiment, images: FoldedImages, observer: Observer
) -> Prepared:
    """Builds the network, with a stage for its head and one for all of it, not augmented."""
    make_reproducible(experiment.seed, experiment.training.precision)
    stage = {"epochs": 1, "learning_rate": 1e-3, "augmentation": False}
    stages = [{"name": name, "unfreeze": name, **stage} for name in ("head", "all")]
    bare = experiment.with_overrides({"stages": stages})
    return prepare_network(bare, images.data, images.examination, observer)


def without_head(name: str, prepared: Prepared) -> Extractor:
    """The network up to its head.

    Args:
        name: For messages.
        prepared: From `prepare_features`.

    Raises:
        InputError: Nothing comes before the head.
    """
    head = prepared.plans[0]
    set_trainable(prepared.network.model, head.layers, head.batchnorm)
    parts = cut(prepared.network.model)
    if parts.prefix is None:
        raise InputError(f"{name} has nothing before its head that could be probed.")
    return Extractor(name, prepared, parts.prefix, parts.boundary)


def _check_budget(name: str, needed: int, allowed: int) -> None:
    if needed > allowed:
        raise InputError(
            f"the features of {name} would take {needed / GB:.3g} GB, of {allowed / GB:.3g} GB "
            "allowed (training.activations_gb)."
        )
