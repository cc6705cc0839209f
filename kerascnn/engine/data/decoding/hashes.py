"""Perceptual hashes, which find nearly equal images, including flipped ones."""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

# The difference hash of Neal Krawetz ("Kind of Like That", hackerfactor.com, 2013): whether an
# image gets brighter from each cell to the next, here over 16 rows of 17 cells, and the same for
# its mirror image.
HASH_SIDE = 16
HASH_WORDS = 2 * HASH_SIDE**2 // 64

# Two images are nearly the same if at most this many of 256 bits differ. Measured at 160 px on
# 1,500 photographs of flowers and the 1,000 rendered ones: this finds 98% to 100% of the copies
# saved as JPEG of quality 50, at half the size, mirrored or upside down; 94% to 98% of those of
# quality 20, at a quarter of the size or 15% brighter; and 86% to 98% of those with 2% cropped. The
# only other pair of the 380,000 is one photograph in two colourings; the next differs in 38 bits.
NEAR_BITS = 25

# They must also differ in at least this many deviations fewer bits than the median pair. That
# limit is 74 bits for photographs and 67 for drawn shapes; for handwritten digits, which all look
# alike, it is below 0.
NEAR_DEVIATIONS = 6

# Pairs that differ in at most this many bits at 160 px stay together when splits are drawn. The
# extra bits allow for other preparations: of 800 pairs of photographs and their copies, they cover
# all but 1 of those found at 64 to 299 px, and all but 5 if padded or stretched.
TOGETHER_BITS = 30

# A hash cannot tell plain colours or nearly white screenshots apart: images in which fewer of the
# 256 neighbouring cells differ are only compared for equality. 600 photographs have 112 or more,
# white pages with a few words at most 48.
LEAST_STRUCTURE = 64
_SAMPLE = 10_000  # pairs from which median and deviation are estimated

_GLANCE_BITS = 12  # of the first 64: twice the share of NEAR_BITS
MAX_PAIRS = 500_000_000  # of two splits: comparing them takes some seconds
_BLOCK = 2**21  # pairs compared at once


def perceptual_hash(image: np.ndarray | Image.Image) -> np.ndarray:
    """The difference hash of an image uint8 [S, S, 3] and that of its mirror image: uint64 [8]."""
    size = (HASH_SIDE + 1, HASH_SIDE)
    drawn = image if isinstance(image, Image.Image) else Image.fromarray(image)
    grey = drawn.convert("L").resize(size, Image.Resampling.BOX)
    cells = np.asarray(grey)  # [16, 17]
    both = np.stack([cells, cells[:, ::-1]])
    bits = both[:, :, 1:] > both[:, :, :-1]  # [2, 16, 16]
    # rows 0, 4, 8 and 12 come first, so that the first 64 bits cover the whole image
    rows = bits.reshape(2, 4, 4, HASH_SIDE).swapaxes(1, 2)
    return np.packbits(rows).view(np.uint64)


def near_rows(hashes: np.ndarray, classes: Iterable[np.ndarray]) -> Iterator[tuple[int, int]]:
    """Pairs of rows in a class whose images are nearly the same, also if flipped.

    The hashes uint64 [N, 8] are in an order unrelated to the images' content; `classes` are the
    rows of each class, and one with too many is not compared.
    """
    comparable = structured(hashes)
    if len(comparable) < 2:
        return
    limit = min(TOGETHER_BITS, unlikely(_shifted(hashes[comparable, :4])))
    for rows in (np.intersect1d(rows, comparable) for rows in classes):
        if 1 < len(rows) <= MAX_PAIRS**0.5:
            for variant in variants(hashes[rows]):
                pairs = close(hashes[rows, :4], variant, limit)
                yield from ((int(rows[a]), int(rows[b])) for a, b in pairs if a < b)


def structured(hashes: np.ndarray) -> np.ndarray:
    """The rows of images with enough structure to compare their hashes: int64 [M]."""
    differing = np.bitwise_count(np.asarray(hashes)).sum(axis=1, dtype=np.int64)
    return np.flatnonzero(differing >= LEAST_STRUCTURE)


def sampled(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The number of bits in which random pairs of both sides differ: int64 [N]."""
    rng = np.random.default_rng(0)
    rows, twins = (rng.integers(0, len(side), _SAMPLE) for side in (hashes, others))
    return _differ(hashes[rows], others[twins, : hashes.shape[1]])


def _shifted(hashes: np.ndarray) -> np.ndarray:
    """The same for pairs among hashes uint64 [N, 4], few of which change when one is added."""
    shifts = range(1, min(len(hashes), 2 + _SAMPLE // len(hashes)))
    return np.concatenate([_differ(hashes, np.roll(hashes, shift, axis=0)) for shift in shifts])


def unlikely(differ: np.ndarray) -> float:
    """The number of differing bits below which two images are unlikely to be unrelated."""
    median = np.median(differ)
    deviation = 1.4826 * np.median(abs(differ - median))  # robust: Rousseeuw & Croux, JASA 1993
    return median - NEAR_DEVIATIONS * deviation


def _differ(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The number of bits in which hashes uint64 [N, 4] differ: int64 [N]."""
    return np.bitwise_count(hashes ^ others).sum(axis=1, dtype=np.int64)


def variants(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """The hashes uint64 [N, 4] of images as they are, mirrored, upside down, and both."""
    for variant in np.split(np.asarray(hashes), 2, axis=1):
        yield variant
        rows = np.ascontiguousarray(variant).view(np.uint16)  # [N, 16]
        yield np.ascontiguousarray(rows[:, ::-1]).view(np.uint64)


def close(hashes: np.ndarray, others: np.ndarray, limit: float) -> Iterator[tuple[int, int]]:
    """Indices of hashes uint64 [N, 4] and [M, 4] that differ in at most `limit` bits."""
    step = max(1, _BLOCK // len(others))
    for start in range(0, len(hashes), step):
        here = hashes[start : start + step]
        rows, twins = np.nonzero(np.bitwise_count(here[:, :1] ^ others[:, 0]) <= _GLANCE_BITS)
        within = _differ(here[rows], others[twins]) <= limit
        yield from zip((start + rows[within]).tolist(), twins[within].tolist(), strict=True)
