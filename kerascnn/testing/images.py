"""The checks of what a dataset's images show, and of which classes."""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from kerascnn.engine.data.decoding.hashes import perceptual_hash
from kerascnn.engine.data.hygiene.copies import near_rows
from kerascnn.hookspecs import Splits
from kerascnn.testing.checks import CheckError, blank, check
from kerascnn.testing.datasets import COMPARED, SIDE, DatasetSubject, digest, sources, spread

NEAR = 0.05  # of a split's images: official splits of photographs have some
ALIKE = 0.98  # correlation of thumbnails; drawn patterns with equal hashes have less
THUMBNAIL = 32  # pixels


class Hashed(NamedTuple):
    """Some images of a split, as `near_rows` compares them."""

    rows: list[int]
    hashes: np.ndarray  # uint64 [N, 8]
    digests: np.ndarray  # [N, 1]
    thumbnails: np.ndarray  # grey, float [N, 32, 32], of mean 0 and norm 1


@check(Splits)
def images_show_something(subject: DatasetSubject) -> str:
    """In each split at least half of the images are neither nearly black nor of one colour."""
    for name, decoded in subject.decoded.items():
        bad = [index for index, _, pixels in decoded if blank(pixels)]
        if len(bad) > len(decoded) / 2:
            raise CheckError(
                f"{len(bad)} of {len(decoded)} images of {name} are nearly black or of one colour, "
                f"such as {name}[{bad[0]}]"
            )
    return f"{sum(map(len, subject.decoded.values())):,} images examined"


@check(Splits)
def classes_in_use(subject: DatasetSubject) -> str:
    """In each split at least two classes have images."""
    counts = []
    for name, source in sources(subject.made):
        labels = {label for _, _, label in subject.samples[name]}
        if len(labels) < 2:
            labels |= {source[index][1] for index in spread(len(source), COMPARED)}
        if len(labels) < 2:
            only = subject.made.class_names[labels.pop()]
            raise CheckError(f'all images of {name} are of the class "{only}"')
        counts.append(f"{len(labels)} in {name}")
    return ", ".join(counts)


@check(Splits)
def no_near_copies(subject: DatasetSubject) -> str:
    """At most one in twenty images has a copy in another split that is mirrored, resized, saved
    again or slightly changed."""
    hashed = {name: _hashed(decoded) for name, decoded in subject.decoded.items()}
    for (one, some), (other, more) in combinations(hashed.items(), 2):
        pairs = [pair for pair in near_rows(some, more) if _alike(some, more, *pair)]
        for side, of in ((some, 0), (more, 1)):
            near = {pair[of] for pair in pairs}
            if len(near) > NEAR * len(side.rows):
                row, twin = pairs[0]
                raise CheckError(
                    f"{len(near)} of {len(side.rows)} images of {(one, other)[of]} are nearly the "
                    f"same as images of {(other, one)[of]}: {one}[{some.rows[row]}] as "
                    f"{other}[{more.rows[twin]}], for example"
                )
    return f"{sum(len(one.rows) for one in hashed.values()):,} images compared"


def _alike(some: Hashed, more: Hashed, row: int, twin: int) -> bool:
    """Whether two images have nearly the same pixels, as they are, mirrored or upside down."""
    one, other = some.thumbnails[row], more.thumbnails[twin]
    flipped = (other, other[:, ::-1], other[::-1], other[::-1, ::-1])
    return max(float((one * variant).sum()) for variant in flipped) > ALIKE


def _hashed(decoded: list[tuple[int, tuple[int, int], np.ndarray]]) -> Hashed:
    pixels = [one for _, _, one in decoded]
    cell = SIDE // THUMBNAIL
    cells = np.stack(pixels).reshape(-1, THUMBNAIL, cell, THUMBNAIL, 3 * cell)
    grey = cells.mean(axis=(2, 4))
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    grey /= np.linalg.norm(grey, axis=(1, 2), keepdims=True) + 1e-9
    return Hashed(
        rows=[index for index, *_ in decoded],
        hashes=np.stack([perceptual_hash(one) for one in pixels]),
        digests=np.array([[digest(one)] for one in pixels]),
        thumbnails=grey,
    )
