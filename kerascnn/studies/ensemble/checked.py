"""What must hold for an ensemble's figures: no member trained on them, and each sees them well."""

from collections.abc import Sequence

import numpy as np

from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.metrics.significance import equally_accurate
from kerascnn.engine.result.ensemble import Decision
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError, RunError
from kerascnn.results.leaks import Loaded, leaks, rows_of, validation_of
from kerascnn.runtime.text import counted

ROUNDING = {"float32": 1e-3, "16 bits": 0.1}
"""Largest allowed difference in a probability where a member sees the same pixels as in its run."""
SURE = 0.05


def refuse_leaks(members: Sequence[Result], loaded: Loaded) -> None:
    """Raises InputError if a member was trained on validation or test images of the ensemble.

    Those are the images of the first member.
    """
    for member in members:
        if found := leaks(member, loaded(member)):
            raise InputError(
                f"run {member.run_id[:8]} was trained on {found} of run {members[0].run_id[:8]}, "
                "so an ensemble of both would look better than it is. Use runs with one division "
                "of the images: the same images, fractions and split_seed."
            )


def check_members(
    members: Sequence[Result],
    inside: np.ndarray,
    loaded: Loaded,
    resized: Sequence[bool],
) -> list[Decision]:
    """Compares each member's probabilities in the ensemble with those of its own run.

    Args:
        inside: Calibrated probabilities of the ensemble's validation images, float [M, N, K].
        loaded: The images as a member prepares them.
        resized: Whether the ensemble resizes or cuts the images of a member.

    Returns:
        How far the probabilities of each such member are apart, if by more than rounding.

    Raises:
        RunError: A member sees the same pixels, but its probabilities differ.
        InputError: It sees resized images, and is less accurate on them.
    """
    told = []
    for member, probabilities, other in zip(members, inside, resized, strict=True):
        own, split = validation_of(member), loaded(member).validation
        here, there = rows_of(split.digests, own)
        if here:
            alone = tempered(own.probabilities[there], member.temperature)
            compared = probabilities[here], alone, split.labels[here]
            if not other:
                _compare(member, *compared[:2])
            elif np.abs(compared[0] - alone).max() > ROUNDING["float32"]:
                told.append(_resized(member, *compared))
    return told


def _compare(member: Result, inside: np.ndarray, alone: np.ndarray) -> None:
    allowed = ROUNDING["float32" if member.training.precision == "float32" else "16 bits"]
    apart = float(np.abs(inside - alone).max())
    if not apart <= allowed:
        raise RunError(
            f"run {member.run_id[:8]}: its probabilities in the ensemble differ by {apart:.2g} "
            f"from those of the run on the same images; at most {allowed:g} is rounding."
        )


def _resized(member: Result, inside: np.ndarray, alone: np.ndarray, labels: np.ndarray) -> Decision:
    changed = int((inside.argmax(1) != alone.argmax(1)).sum())
    before, after = alone.argmax(1) == labels, inside.argmax(1) == labels
    named, size = f"images of run {member.run_id[:8]}", member.training.image_size
    said = (
        f"on {counted(len(labels), 'validation image')} its probabilities differ from those of its "
        f"own run by {np.abs(inside - alone).mean():.2g} on average, and its class on {changed:,}; "
        f"its accuracy is {after.mean():.3f} instead of {before.mean():.3f}"
    )
    worse = equally_accurate(before, after)
    if after.mean() < before.mean() and worse < SURE:
        raise InputError(
            f"{named} have to be resized to {size} px, and {said}: surely worse. Use runs of one "
            "image size."
        )
    return Decision(what=named, chosen=f"resized to {size} px", why=f"{said}.")
