"""Probes one network: a linear probe on its features, and its cost."""

import time
import warnings
from functools import partial
from typing import Any

import numpy as np

from kerascnn.engine.check import check_stages
from kerascnn.engine.data.findings import Examination
from kerascnn.engine.data.packed import Data
from kerascnn.engine.metrics.significance import wilson_interval
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepare import prepare_network
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.inputs import FLOAT_BYTES, make_inputs
from kerascnn.engine.training.listener import Listener
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.runtime.determinism import make_reproducible
from kerascnn.runtime.text import counted
from kerascnn.studies.probe.result import ProbedNetwork

FOLDS = 5
"""Of the cross-validation."""
STRENGTH = 0.1
"""Inverse of the L2 penalty (scikit-learn's C), for features of unit variance."""
BATCH = 32
TIMED_SECONDS = 1.0
"""Minimum time to measure a network's calls, of which there are at least three."""


def with_architecture(experiment: BoundExperiment, architecture: str) -> BoundExperiment:
    """The experiment with another architecture, NAME or NAME:WEIGHTS; its own keeps its parameters.

    Raises:
        InputError: There is no such architecture, or it does not accept these weights.
    """
    name, colon, weights = architecture.partition(":")
    changes = {} if experiment.architecture.name == name else {"architecture": {"name": name}}
    try:
        return experiment.with_overrides(
            changes | ({"architecture.weights": weights} if colon else {})
        )
    except InputError as error:
        raise InputError(f"{architecture}: {error}") from error


def probe_network(
    name: str,
    experiment: BoundExperiment,
    data: Data,
    examination: Examination,
    observer: Observer,
) -> ProbedNetwork:
    """Probes the network of an experiment on its images; `name` is for messages."""
    start = time.perf_counter()
    make_reproducible(experiment.seed, experiment.training.precision)
    prepared = prepare_network(_probing(experiment), data, examination, observer)
    model = prepared.network.model
    *_, whole = check_stages(prepared)
    features, labels = _features(prepared, name, observer)
    right = _right(features, labels, experiment.seed)
    images = prepared.examples()[1].inputs
    forward = Forward(model)
    return ProbedNetwork(
        architecture=name,
        accuracy=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(right)),
        images=len(right),
        features=features.shape[1],
        parameters=model.count_params(),
        model_bytes=FLOAT_BYTES * model.count_params(),
        training_bytes=whole.memory_bytes,
        single_ms=_milliseconds(forward, images, 1),
        batched_ms=_milliseconds(forward, images, BATCH),
        seconds=time.perf_counter() - start,
    )


def _probing(experiment: BoundExperiment) -> BoundExperiment:
    """The experiment with a head stage without augmentation, and one for the whole network."""
    stage = {"epochs": 1, "learning_rate": 1e-3, "augmentation": False}
    stages = [{"name": name, "unfreeze": name, **stage} for name in ("head", "all")]
    return experiment.with_overrides({"stages": stages})


def _features(prepared: Prepared, name: str, observer: Observer) -> tuple[np.ndarray, np.ndarray]:
    """The input of the head for each training and validation image, float32 [N, D], cached as in a
    run; and the labels int64 [N].
    """
    plan, model = prepared.plans[0], prepared.network.model
    set_trainable(model, plan.layers, plan.batchnorm)
    train, validation = prepared.examples()

    parts = cut(model)
    progress = partial(observer.progress, f"probing {name}")
    listener = Listener(prefix=progress, warned=observer.warned)
    inputs = make_inputs(parts, plan, train, validation, listener)
    if inputs.cached.boundary != parts.boundary:
        raise InputError(
            f"the features of {name} do not fit the cache: {inputs.cached.frozen_part}."
        )
    features = np.concatenate([inputs.feed.inputs[0][:], inputs.validation.inputs[:]])
    labels = np.concatenate([train.labels, validation.labels])
    return features.reshape(len(features), -1).astype(np.float32), labels


def _right(features: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Whether a linear classifier, fitted on the other folds, is correct on each image."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    least = int(np.bincount(labels)[np.unique(labels)].min())
    if least < FOLDS:
        raise InputError(
            f"the smallest class has {counted(least, 'training or validation image')}; a probe "
            f"needs {FOLDS} per class."
        )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=500))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings(action="ignore"):  # 500 iterations are good enough
        return cross_val_predict(classifier, features, labels, cv=folds) == labels


def _milliseconds(forward: Forward, images: Any, batch_size: int) -> float:
    """Milliseconds per image, the median of several calls after one that compiles."""
    batch = np.resize(images[:batch_size], (batch_size, *images.shape[1:]))
    forward(batch, batch_size)
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < TIMED_SECONDS:
        start = time.perf_counter()
        forward(batch, batch_size)
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds)) / batch_size
