"""The inputs of a stage: images, or their activations after the frozen prefix."""

import time
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from kerascnn.engine.data.batches.feed import Augment, Examples, Feed, OneHot
from kerascnn.engine.data.decoding.preparation import Centred
from kerascnn.engine.network.boundary import INPUT, Cut
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.training.listener import SILENT, Listener
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.teacher import Taught
from kerascnn.engine.training.views import PrefixRuns, run_prefix, teacher_says
from kerascnn.runtime.files import GB

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Cached:
    """The cached activations of a stage."""

    boundary: str  # the layer whose activations are cached; "input" if none are
    frozen_part: str  # how far the frozen prefix goes and when it runs, in words
    views: int = 0  # runs over each training image before the first step; 0: it runs in every step
    made: int = 0  # images and views computed, validation images included
    reused: int = 0  # images and views read from the cache
    bytes: int = 0  # size of all activations
    continued: int = 0  # images and views computed from stored activations of an earlier layer
    engine: str = ""  # what computed them, such as "OpenVINO 2026.4.1"; "" if the backend did


@dataclass(frozen=True)
class Inputs:
    trainer: Any  # the suffix, or the whole network
    feed: Feed  # of `trainer`
    forward: Any  # validates with the trainer's weights; a `Forward`, or called like one
    validation: Examples  # of `forward`
    cached: Cached
    prefix_seconds: float  # running the frozen prefix before the first step, or reading its cache
    at_once: int  # images that `forward` computes together


def make_inputs(
    parts: Cut, plan: Plan, train: Examples, validation: Examples, listener: Listener = SILENT
) -> Inputs:
    """Runs the frozen prefix once over all images that are not augmented afresh in every step.

    Of training images uint8 [N, P, P, 3], augmentation takes random windows [S, S]; validation
    images are uint8 [N, S, S, 3]. The listener receives the number of images done, and warnings.
    """
    start = time.perf_counter()
    if not plan.augment:
        train = replace(train, inputs=Centred(train.inputs, parts.image_size))
    total = plan.views * len(train) + len(validation)
    kept, why = choose(parts, plan, total)
    if kept.prefix is None:
        feed = _images(kept.suffix, plan, train, listener)
        cached = Cached(INPUT, why)
        return Inputs(
            kept.suffix, feed, Forward(kept.suffix), validation, cached, 0.0, plan.batch_size
        )
    runs, judged, stored = _run_prefix(kept, plan, train, validation, listener)
    trainer = kept.suffix if stored else parts.whole()
    feed = stored or _images(trainer, plan, train, listener)
    counts = (runs.made, runs.reused, runs.bytes, runs.continued)
    cached = Cached(kept.boundary, why, plan.views, *counts, runs.engine)
    seconds = time.perf_counter() - start
    return Inputs(trainer, feed, Forward(kept.suffix), judged, cached, seconds, plan.batch_size)


def _run_prefix(
    kept: Cut, plan: Plan, train: Examples, validation: Examples, listener: Listener
) -> tuple[PrefixRuns, Examples, Feed | None]:
    """The activations of the validation images, and the feed unless images are augmented afresh."""

    taught = _targets(kept.suffix, plan, train, listener) if plan.views else []

    def use(runs: PrefixRuns) -> tuple[Examples, Feed | None]:
        judged = replace(validation, inputs=runs.images(validation))
        return judged, _activations(plan, train, runs, taught) if plan.views else None

    total = plan.views * len(train) + len(validation)
    runs, (judged, feed) = run_prefix(kept.prefix, kept.boundary, plan, total, listener, use)
    return runs, judged, feed


def choose(parts: Cut, plan: Plan, total: int) -> tuple[Cut, str]:
    """Where to cache the activations of `total` images and views; also says so in words."""

    def bytes_of(shape: tuple[int, ...]) -> int:
        return prod(shape) * FLOAT_BYTES * total

    kept = parts.moved(lambda shape: bytes_of(shape) <= plan.activation_bytes)
    if parts.prefix is None:
        return kept, "none: the first layer is trainable"
    if kept is parts:
        return kept, f"up to {kept.boundary}, {_when(plan)}"
    needed = bytes_of(parts.prefix.output_shape[1:])
    why = (
        f"activations of {parts.boundary} would take {needed / GB:.3g} GB, of "
        f"{plan.activation_bytes / GB:.3g} GB allowed (training.activations_gb)"
    )
    if kept.prefix is None:
        return kept, f"in every step: {why}"
    return kept, f"up to {kept.boundary}, {_when(plan)}; the rest in every step: {why}"


def _when(plan: Plan) -> str:
    if not plan.views:
        return "in every step, because images are augmented afresh (views = 4 runs it only 4 times)"
    return f"once for each of {plan.views} views" if plan.views > 1 else "once for each image"


def _images(trainer: Any, plan: Plan, train: Examples, listener: Listener) -> Feed:
    if not plan.augment:
        return _feed(plan, train, [train.inputs], _targets(trainer, plan, train, listener))
    augment = plan.teacher.teaching(plan.augment) if plan.teacher else plan.augment
    targets = OneHot(train.labels, trainer.output_shape[-1])
    return _feed(plan, train, [train.inputs], [targets], augment.afresh)


def _targets(trainer: Any, plan: Plan, train: Examples, listener: Listener) -> list[Any]:
    """The targets [N, K] of each stored view, which augmentation or mixing does not change."""
    labels = OneHot(train.labels, trainer.output_shape[-1])
    if plan.teacher is None:
        return [labels] * plan.views
    said = teacher_says(plan, plan.teacher, train, labels, listener)
    return [Taught(plan.teacher, of_view, labels) for of_view in said]


def _activations(plan: Plan, train: Examples, runs: PrefixRuns, targets: list[Any]) -> Feed:
    if not plan.augment:
        return _feed(plan, train, [runs.images(train)], targets)
    views = [runs.view(train, number, of_view) for number, of_view in enumerate(targets)]
    inputs, targets_of = zip(*views, strict=True)
    return _feed(plan, train, inputs, targets_of, plan.augment.mix)


def _feed(
    plan: Plan, train: Examples, inputs: Any, targets: Any, augment: Augment | None = None
) -> Feed:
    return Feed(
        inputs,
        targets,
        plan.batch_size,
        (plan.seed, plan.index),
        augment,
        plan.class_weights,
        plan.stage.label_smoothing,
        train.blocks,
    )
