"""Probes one network: a linear probe on its features, and its cost."""

import time
from typing import Any

import numpy as np

from kerascnn.engine.check import check_stages
from kerascnn.engine.metrics.score import Standing, judge
from kerascnn.engine.metrics.significance import wilson_interval
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.observer import Observer
from kerascnn.engine.training.inputs import FLOAT_BYTES
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.studies.features.classifier import out_of_fold
from kerascnn.studies.features.images import FoldedImages
from kerascnn.studies.features.network import prepare_features, without_head
from kerascnn.studies.probe.result import ProbedNetwork

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
    name: str, experiment: BoundExperiment, images: FoldedImages, observer: Observer
) -> tuple[ProbedNetwork, np.ndarray]:
    """Probes the network of an experiment on its images; `name` is for messages.

    Returns:
        The network, and whether its probe is correct on each image, bool [N].
    """
    start = time.perf_counter()
    prepared = prepare_features(experiment, images, observer)
    model = prepared.network.model
    *_, whole = check_stages(prepared)
    features = without_head(name, prepared).features(images.splits, observer)
    judged = judge_features(features.values, images)
    windows, forward = prepared.examples(prepared.plans[-1])[1].inputs, Forward(model)
    probed = ProbedNetwork(
        architecture=name,
        accuracy=judged.accuracy,
        interval=wilson_interval(int(judged.correct.sum()), len(judged.correct)),
        loss=judged.loss,
        images=len(judged.correct),
        stored=features.stored,
        features=features.values.shape[1],
        parameters=model.count_params(),
        model_bytes=FLOAT_BYTES * model.count_params(),
        training_bytes=whole.memory_bytes,
        single_ms=_milliseconds(forward, windows, 1),
        batched_ms=_milliseconds(forward, windows, BATCH),
        seconds=time.perf_counter() - start,
    )
    return probed, judged.correct


def judge_features(values: np.ndarray, images: FoldedImages) -> Standing:
    """Judges a linear probe on features [N, F] out of fold."""
    probabilities = out_of_fold(values, images.labels, images.folds, images.classes)
    return judge(probabilities, images.labels)


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
