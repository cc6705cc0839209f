"""The features of a network for the images of a probe, from the cache as far as they are there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from kerascnn.engine.data.preparation import Centred
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.inputs import FLOAT_BYTES
from kerascnn.engine.training.listener import Listener
from kerascnn.engine.training.views import PrefixRuns, run_prefix
from kerascnn.errors import InputError
from kerascnn.runtime.files import GB


@dataclass(frozen=True)
class Features:
    """The features of the training images, then of the validation images.

    Args:
        values: float32 [N, F].
        stored: Number of images whose features the cache had.
    """

    values: np.ndarray
    stored: int


def features_of(
    name: str, prepared: Prepared, model: Any, boundary: str, observer: Observer
) -> Features:
    """Runs a frozen part of a network once over the images; each is stored.

    Args:
        name: Of the network, for messages.
        prepared: Its first stage augments nothing.
        model: From images to features.
        boundary: Its last layer, or what else it ends with, for the listing of the cache.
        observer: Receives progress and warnings.

    Raises:
        InputError: They do not fit the cache.
    """
    plan, (train, validation) = prepared.plans[0], prepared.examples()
    total = len(train) + len(validation)
    _check_budget(name, FLOAT_BYTES * total * prod(model.output_shape[1:]), plan.activation_bytes)
    size = prepared.experiment.training.image_size
    splits = (replace(train, inputs=Centred(train.inputs, size)), validation)

    def use(runs: PrefixRuns) -> np.ndarray:
        rows = [np.asarray(runs.images(split)[:], np.float32) for split in splits]
        return np.concatenate(rows).reshape(total, -1)

    progress: Callable[[int, int], None] = partial(observer.progress, f"probing {name}")
    listener = Listener(prefix=progress, warned=observer.warned)
    runs, values = run_prefix(model, boundary, plan, total, listener, use)
    return Features(values, runs.reused)


def _check_budget(name: str, needed: int, allowed: int) -> None:
    if needed > allowed:
        raise InputError(
            f"the features of {name} would take {needed / GB:.3g} GB, of {allowed / GB:.3g} GB "
            "allowed (training.activations_gb)."
        )
