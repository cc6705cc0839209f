"""What must hold for an ensemble's figures: nobody trained on them, each member sees them well."""

from collections.abc import Callable, Sequence

import numpy as np

from kerascnn.engine.data.packed import Data
from kerascnn.engine.load import load_data
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.metrics.significance import mcnemar
from kerascnn.engine.observer import Observer
from kerascnn.engine.result import SEEN, VALIDATION_PREDICTIONS, Result
from kerascnn.errors import InputError, RunError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.predictions import Predictions, read_predictions
from kerascnn.runtime.text import counted

Loaded = Callable[[Result], Data]

ROUNDING = {"float32": 1e-3, "16 bits": 0.1}
"""Largest allowed difference in a probability where a member sees the same pixels as in its run."""
SURE = 0.05


def as_prepared(experiment: BoundExperiment, data: Data, observer: Observer) -> Loaded:
    """Loads the ensemble's images as a member prepares them, once for each preparation.

    Args:
        experiment: That of the ensemble.
        data: Its images, as the ensemble prepares them.
    """
    training = experiment.training
    loaded = {(training.image_size, training.crop_margin): data}

    def load(member: Result) -> Data:
        size, margin = member.training.image_size, member.training.crop_margin
        if (size, margin) not in loaded:
            asked = {"training.image_size": size, "training.crop_margin": margin}
            loaded[size, margin] = load_data(experiment.with_overrides(asked), observer)
        return loaded[size, margin]

    return load


def refuse_leaks(members: Sequence[Result], loaded: Loaded) -> None:
    """Raises InputError if a member was trained on validation or test images of the ensemble.

    Those are the images of the first member. A member's own validation images chose its weights,
    so they must not be test images either.
    """
    first = members[0].run_id[:8]
    for member in members:
        data = loaded(member)
        seen, validated = _seen(member), _digests(_validated(member).digests)
        leaks = {
            "validation": _count(data.validation.digests, seen - validated),
            "test": _count(data.test.digests, seen),
        }
        found = [
            f"{count:,} of the {len(data.splits()[split]):,} {split} images"
            for split, count in leaks.items()
            if count
        ]
        if found:
            raise InputError(
                f"run {member.run_id[:8]} has seen {' and '.join(found)} of run {first} in its "
                "training, so an ensemble of both would look better than it is. Train its members "
                "on one division of the images: the same images, fractions and split_seed."
            )


def _seen(member: Result) -> set[bytes]:
    file = member.folder / SEEN
    if not file.is_file():
        raise InputError(
            f"run {member.run_id[:8]} does not say which images it was trained on: {file} is "
            "missing. Train it again."
        )
    return {digest.tobytes() for digest in np.load(file)}


def _validated(member: Result) -> Predictions:
    return read_predictions(member.folder / VALIDATION_PREDICTIONS, member.class_names)


def _digests(written: Sequence[str]) -> set[bytes]:
    return set(map(bytes.fromhex, written))


def _count(digests: np.ndarray, among: set[bytes]) -> int:
    return sum(digest.tobytes() in among for digest in digests)


def check_members(
    members: Sequence[Result],
    inside: np.ndarray,
    loaded: Loaded,
    resized: Sequence[bool],
    told: Callable[[str], None],
) -> None:
    """Compares each member's probabilities in the ensemble with those of its own run.

    Args:
        inside: Calibrated probabilities of the ensemble's validation images, float [M, N, K].
        loaded: The images as a member prepares them.
        resized: Whether a member sees other pixels in the ensemble, which resizes them.
        told: Receives how far those are apart.

    Raises:
        RunError: A member sees the same pixels, but its probabilities differ.
        InputError: It sees resized images, and is less accurate on them.
    """
    for member, probabilities, other in zip(members, inside, resized, strict=True):
        own = _validated(member)
        rows = {digest: row for row, digest in enumerate(own.digests)}
        split = loaded(member).validation
        digests = [digest.tobytes().hex() for digest in split.digests]
        both = [(row, rows[digest]) for row, digest in enumerate(digests) if digest in rows]
        if both:
            here, there = map(list, zip(*both, strict=True))
            alone = tempered(own.probabilities[there], member.temperature)
            compared = probabilities[here], alone, split.labels[here]
            _compare(member, *compared, resized=other, told=told)


def _compare(
    member: Result,
    inside: np.ndarray,
    alone: np.ndarray,
    labels: np.ndarray,
    *,
    resized: bool,
    told: Callable[[str], None],
) -> None:
    named, apart = f"run {member.run_id[:8]}", np.abs(inside - alone)
    if not resized:
        allowed = ROUNDING["float32" if member.training.precision == "float32" else "16 bits"]
        if not apart.max() <= allowed:
            raise RunError(
                f"{named}: its probabilities in the ensemble differ by {apart.max():.2g} from "
                f"those of the run on the same images; at most {allowed:g} is rounding."
            )
        return
    changed = int((inside.argmax(1) != alone.argmax(1)).sum())
    before, after = alone.argmax(1) == labels, inside.argmax(1) == labels
    said = (
        f"{named}, trained at {member.training.image_size} px, sees images that the ensemble "
        f"resizes: on {counted(len(labels), 'validation image')} its probabilities differ by "
        f"{apart.mean():.2g} on average, and its class on {changed}; its accuracy is "
        f"{after.mean():.3f} instead of {before.mean():.3f}"
    )
    worse = mcnemar(int((before & ~after).sum()), int((after & ~before).sum()))
    if after.mean() < before.mean() and worse < SURE:
        raise InputError(f"{said}, which is worse with certainty. Use runs of one image size.")
    told(f"{said}.")
