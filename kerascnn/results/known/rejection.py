"""Images that are none of a run's classes: how well they are noticed, and which are refused.

Each class is left out in turn, as if it were unknown: an image's score comes from the training
images of the other classes alone. The measure that tells the held-out images of the class left out
from the others best is the run's. The network itself has seen every class, unless the layers before
its head were frozen. Which images are held out is said in `held_out`.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass

import numpy as np

from kerascnn.engine.metrics.conformal import needed_images, threshold
from kerascnn.engine.metrics.novelty import MEASURES, Examples, area
from kerascnn.engine.result.run import REJECTION, Result
from kerascnn.results.known.held_out import held_out
from kerascnn.results.known.images import KnownImages
from kerascnn.runtime.files import write_whole

SHARE = 0.05
"""Default share of known images that may be refused."""
CLASSES = 20
"""Classes left out, at most, those with the most held-out images: each takes a fit."""
LEAST = 5
"""Held-out images of a class, for it to be left out."""
SAMPLE = 20_000
"""Training images that scores come from; of more, as many at random."""


@dataclass(frozen=True)
class LeftOut:
    """How well the images of a class are noticed, as if it were unknown.

    Args:
        name: Of the class.
        images: Its held-out images.
        area: AUROC against the held-out images of the other classes, by measure.
        refused: The share of its images refused while `SHARE` of the others is, by the run's
            measure; None with too few others.
    """

    name: str
    images: int
    area: dict[str, float]
    refused: float | None


@dataclass(frozen=True)
class Noticed:
    """How well an unknown class would be noticed.

    Args:
        measure: That of the run, a name of `engine.metrics.novelty.MEASURES`.
        classes: Those that were left out; none with fewer than `LEAST` held-out images.
    """

    measure: str
    classes: list[LeftOut]

    def mean(self, measure: str = "") -> float | None:
        """The mean area under the curve over classes; default by the run's measure."""
        areas = [of.area[measure or self.measure] for of in self.classes]
        return float(np.mean(areas)) if areas else None

    @property
    def refused(self) -> float | None:
        """The mean share of an unknown class's images that are refused."""
        shares = [of.refused for of in self.classes if of.refused is not None]
        return float(np.mean(shares)) if shares else None


def noticed(run: Result) -> Noticed:
    """What the images that a run knows tell, computed once.

    Raises:
        InputError: The run keeps no features.
    """
    file = run.folder / REJECTION
    if file.is_file():
        read = json.loads(file.read_text("utf-8"))
        return Noticed(read["measure"], [LeftOut(**of) for of in read["classes"]])
    found = leave_out(sampled(KnownImages.read(run)))
    with suppress(OSError):  # of a folder that cannot be written
        write_whole(file, json.dumps(asdict(found), indent=2))
    return found


def leave_out(known: KnownImages) -> Noticed:
    """Leaves out each class in turn, and chooses the measure by all of them."""
    from threadpoolctl import threadpool_limits

    counts = np.bincount(known.labels[~known.trained], minlength=len(known.class_names))
    order = np.argsort(-counts, kind="stable")[:CLASSES]
    with threadpool_limits(1, "blas"):  # beside other work of a run
        tried = [(row, _without(known, row)) for row in sorted(order) if counts[row] >= LEAST]
    areas = {name: [area(*scores[name]) for _, scores in tried] for name in MEASURES}
    measure = (
        max(MEASURES, key=lambda name: np.mean(areas[name])) if tried else next(iter(MEASURES))
    )
    classes = [
        LeftOut(
            name=known.class_names[row],
            images=int(counts[row]),
            area={name: of[place] for name, of in areas.items()},
            refused=_refused(*scores[measure]),
        )
        for place, (row, scores) in enumerate(tried)
    ]
    return Noticed(measure, classes)


def _without(known: KnownImages, row: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By measure, the scores of the held-out images of the other classes, and of this one."""
    others, held = known.labels != row, ~known.trained
    shown = known.trained & others
    examples, scores = Examples(known.features[shown], known.labels[shown]), {}
    for name, measure in MEASURES.items():
        score = measure(examples)
        scores[name] = score(known.features[held & others]), score(known.features[held & ~others])
    return scores


def _refused(known: np.ndarray, strange: np.ndarray) -> float | None:
    if len(known) < needed_images(SHARE):
        return None
    return float((strange > threshold(known, SHARE)).mean())


def sampled(known: KnownImages) -> KnownImages:
    """Those with at most `SAMPLE` training images."""
    rows = np.flatnonzero(known.trained)
    if len(rows) <= SAMPLE:
        return known
    kept = np.random.default_rng(0).choice(rows, SAMPLE, replace=False)
    return known.at(np.sort(np.concatenate([kept, np.flatnonzero(~known.trained)])))


class Rejection:
    """Refuses images that are none of a run's classes.

    Args:
        run: The run.
        share: Of known images that may be refused, 0 to 1, exclusive.

    Raises:
        InputError: The run keeps no features, or too few held-out images for the share.
    """

    def __init__(self, run: Result, share: float = SHARE) -> None:
        split = held_out(run)
        self.measure, self.share = noticed(run).measure, share
        known = sampled(KnownImages.read(run))
        examples = Examples(known.features[known.trained], known.labels[known.trained])
        self._score = MEASURES[self.measure](examples)
        held = self._score(known.features[~known.trained])
        self.threshold = threshold(held, share, f"--reject {share:g}", split)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """How strange images are: [N], by their features [N, F]."""
        return self._score(features)
