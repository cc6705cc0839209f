"""What a number of images can show: the differences between networks that it can tell."""

from kerascnn.engine.metrics.significance import detectable_difference

LEVEL = 0.05
COARSE = 0.1
"""Settings of one network seldom differ by more, in accuracy."""


def smallest_difference(images: int) -> float | None:
    """The smallest difference in accuracy that these images can show of two networks, at best.

    With a power of 80%, where all images on which the two differ speak for the better one, and
    without correction for other pairs.

    Args:
        images: 1 or more, all judged by both networks.

    Returns:
        None if they can show none.
    """
    return detectable_difference(images, 0.0, LEVEL)


def reach(images: int) -> str:
    """The same as the end of a sentence: "only differences of 0.04 or more in accuracy"."""
    least = smallest_difference(images)
    if least is None:
        return "no difference in accuracy"
    return f"only differences of {least:.2f} or more in accuracy (power 80%)"


def few(images: int) -> str:
    """The end of a sentence on what could not be distinguished; "" unless images are few."""
    return f"; {images:,} images can show {reach(images)}" if coarse(images) else ""


def coarse(images: int) -> bool:
    """Whether the differences that networks usually have are too small for these images."""
    least = smallest_difference(images)
    return least is None or least > COARSE
