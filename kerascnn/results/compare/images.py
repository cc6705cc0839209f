"""Whether two runs have the same test images, and in which order."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.result.outcome import Outcome
from kerascnn.results.predictions import Predictions
from kerascnn.runtime.text import plural

Judged = tuple[Outcome, Predictions]
"""A run, or a study of folds, and its predictions for its test images."""


def difference(run: Judged, reference: Judged) -> str:
    """How the test images of a run differ from those of another; "" if they do not."""
    if run[0].divided != reference[0].divided:
        return f"it tests {_divided(run)}, not {_divided(reference)}"
    if _as_packed(run, reference):
        return ""
    if not run[0].divided and Preparation.of(run[0].training) != Preparation.of(
        reference[0].training
    ):
        return "its images differ and are prepared differently, so they cannot be matched"
    own, others = _contents(run), _contents(reference)
    if own == others:
        return ""
    missing, count = (own - others).total(), own.total()
    if not missing:
        return f"{(others - own).total():,} of the {others.total():,} images are missing"
    return f"{missing:,} of its {count:,} images are not among the {others.total():,}"


def rows_as_in(first: Judged, other: Judged) -> np.ndarray:
    """The rows of a run in the order of another on the same images: int64 [N]."""
    if _as_packed(first, other):
        return np.arange(len(first[1]))
    ranks, rows = (
        np.array(sorted(range(len(keys)), key=keys.__getitem__))
        for keys in map(_keys, (first, other))
    )
    ordered = np.empty_like(rows)
    ordered[ranks] = rows
    return ordered


SHOWN = 10  # runs listed in a message; the others are counted


def noun_of(results: Sequence[Outcome]) -> str:
    """What results are of: "study" (of folds) where all are, else "run"."""
    return "study" if results and all(result.divided for result in results) else "run"


def refusal(results: Sequence[Outcome], reference: Outcome, differences: Mapping[str, str]) -> str:
    """Why results cannot be tested against each other: how the images of some differ."""
    nouns, first = plural(noun_of(results)), reference.run_id[:8]
    why = f"not all {nouns} were evaluated on the test images of {first}."
    remedy = f"Compare {nouns} with the same test images, or run these again on one dataset."
    if nouns == "studies":
        why = f"not all studies test the images of {first} in the same folds."
        remedy = "Compare studies of the same images and folds."
    elif any(result.divided for result in results):
        why = "a run tests one split, and a study of folds all images."
        remedy = "Compare runs with runs, and studies with studies."
    lines = [f"  {run_id[:8]}: {text}" for run_id, text in differences.items()]
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([f"no test: {why}", *lines[:SHOWN], *more, remedy])


def _divided(judged: Judged) -> str:
    return f"all images in {judged[0].divided}" if judged[0].divided else "one split"


def _as_packed(one: Judged, other: Judged) -> bool:
    """Whether the source and order are the same; images left out as unreadable change it."""
    fingerprints = {result.tested for result, _ in (one, other)}
    return len(fingerprints) == 1 and _labels(one) == _labels(other)


def _labels(judged: Judged) -> list[str]:
    result, predictions = judged
    return [result.class_names[label] for label in predictions.labels]


def _contents(judged: Judged) -> Counter[tuple[str, str]]:
    return Counter(_keys(judged))


def _keys(judged: Judged) -> list[tuple[str, str]]:
    """What identifies a test image: its content and its label."""
    return list(zip(judged[1].digests, _labels(judged), strict=True))
