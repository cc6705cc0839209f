"""What a stage trains on: pictures, or what the frozen prefix makes of them once."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerascnn.data.batches import Feed
from kerascnn.network.boundary import Cut
from kerascnn.network.inference import Forward, Progress, to_numpy
from kerascnn.training.plan import Plan

ACTIVATION_BYTES = 2 * 2**30
"""Activations up to this size are kept in memory; beyond it the prefix runs with every step."""


@dataclass(frozen=True)
class Examples:
    """Arrays to judge by: inputs [N, ...] and labels int64 [N]."""

    inputs: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Inputs:
    """What a stage trains and is judged on.

    Args:
        trainer: The model to train: the suffix, or the whole network.
        feed: Its training examples.
        forward: The model to judge by, which shares the trainer's weights.
        validation: Its examples.
        prefix_seconds: Running the frozen prefix once over the training images; None where it
            runs with every step.
    """

    trainer: Any
    feed: Feed
    forward: Forward
    validation: Examples
    prefix_seconds: float | None


def make_inputs(
    parts: Cut, plan: Plan, train: Examples, validation: Examples, progress: Progress
) -> Inputs:
    """Runs the frozen prefix once over all images that are not augmented anew with every step.

    Args:
        parts: The network, cut at the boundary.
        plan: The stage.
        train: Images uint8 [N, S, S, 3].
        validation: The same.
        progress: Is told of the images done and their number.
    """
    start = time.perf_counter()
    views = _views(plan) if _runs_once(parts, plan, len(train), len(validation)) else 0
    if parts.prefix is None or not _fits(parts, len(validation)):
        trainer = parts.whole()
        return Inputs(trainer, _pictures(parts, plan, train), Forward(trainer), validation, None)
    prefix, total = Forward(parts.prefix), views * len(train) + len(validation)
    judged = prefix(validation.inputs, plan.batch_size, lambda done, _: progress(done, total))
    at_boundary = Examples(judged, validation.labels)
    if not views:
        feed = _pictures(parts, plan, train)
        return Inputs(parts.whole(), feed, Forward(parts.suffix), at_boundary, None)
    feed = _views_at_boundary(
        parts, plan, prefix, train, views, lambda done, _: progress(len(validation) + done, total)
    )
    seconds = time.perf_counter() - start
    return Inputs(parts.suffix, feed, Forward(parts.suffix), at_boundary, seconds)


def _runs_once(parts: Cut, plan: Plan, train: int, validation: int) -> bool:
    """Whether the prefix runs once per image, or per view of it, instead of with every step."""
    if parts.prefix is None or (plan.augment and not plan.stage.views):
        return False
    return _fits(parts, train * _views(plan) + validation)


def _views(plan: Plan) -> int:
    return (plan.stage.views or 1) if plan.augment else 1


def _fits(parts: Cut, examples: int) -> bool:
    numbers = examples * int(np.prod(parts.suffix.input_shape[1:]))
    return numbers * np.dtype(np.float32).itemsize <= ACTIVATION_BYTES


def _pictures(parts: Cut, plan: Plan, train: Examples) -> Feed:
    return _feed(plan, train.inputs[None], _one_hot(train, parts)[None])


def _views_at_boundary(
    parts: Cut, plan: Plan, prefix: Forward, train: Examples, views: int, progress: Progress
) -> Feed:
    targets = np.repeat(_one_hot(train, parts)[None], views, axis=0)  # [V, N, K]
    inputs = np.empty((views, len(train), *parts.suffix.input_shape[1:]), np.float32)
    done = 0
    for view in range(views):
        # shuffled, for a batch's pictures may be mixed with each other
        order = np.random.default_rng([plan.seed, plan.index, view]).permutation(len(train))
        for step, first in enumerate(range(0, len(train), plan.batch_size)):
            batch = order[first : first + plan.batch_size]
            images, wanted = train.inputs[batch], targets[view, batch]
            if plan.augment:
                images, wanted = plan.augment(images, wanted, view, step)
                targets[view, batch] = to_numpy(wanted)
            inputs[view, batch] = prefix(to_numpy(images), plan.batch_size)
            done += len(batch)
            progress(done, views * len(train))
    return _feed(replace(plan, augment=None), inputs, targets)


def _one_hot(examples: Examples, parts: Cut) -> np.ndarray:
    return np.eye(parts.suffix.output_shape[-1], dtype=np.float32)[examples.labels]  # [N, K]


def _feed(plan: Plan, inputs: np.ndarray, targets: np.ndarray) -> Feed:
    return Feed(
        inputs,
        targets,
        batch_size=plan.batch_size,
        seed=(plan.seed, plan.index),
        augment=plan.augment,
        class_weights=plan.class_weights,
    )
