"""Which of several indistinguishable runs to choose, and what the test images can show."""

from collections.abc import Sequence

from kerascnn.engine.metrics.significance import Z95, detectable_difference, images_needed
from kerascnn.results.compare.results import SURE, Compared, Group, Pair


def advice(entrants: Sequence[Compared | Group], against_best: Sequence[Pair], images: int) -> str:
    """What to do about runs or groups that cannot be distinguished from the best one.

    Args:
        entrants: The runs or groups, the most accurate first.
        against_best: The tested pairs with the most accurate one.
        images: Number of test images.

    Returns:
        One or two sentences; "" if all can be distinguished, or none is tested.
    """
    undecided = [pair for pair in against_best if pair.interval and not pair.better]
    if not undecided:
        return ""
    said = _choice({_name(one): one for one in entrants}, undecided)
    return f"{said} {_reach(undecided[0], images)}".rstrip()


def _name(one: Compared | Group) -> str:
    return one.name if isinstance(one, Group) else one.run_id


def _choice(entrants: dict[str, Compared | Group], undecided: Sequence[Pair]) -> str:
    """The smallest within one standard error of the best (Breiman et al. 1984, section 3.4.3)."""
    best = entrants[undecided[0].first]
    close = [entrants[pair.second] for pair in undecided if pair.difference <= _error(pair)]
    smallest = min([best, *close], key=lambda one: one.parameters)
    if smallest.parameters < best.parameters:
        return (
            f"Choose {smallest.short}: it has {smallest.parameters:,} parameters instead of "
            f"{best.parameters:,}, and is within one standard error of the best."
        )
    if any(pair.difference == 0 for pair in undecided):
        return f"Choose any of the equally accurate ones, such as {best.short}: none is smaller."
    return f"Choose {best.short}: it has the highest accuracy, and no smaller one comes close."


def _error(pair: Pair) -> float:
    """The standard error of a difference."""
    low, high = pair.interval or (0.0, 0.0)
    return (high - low) / (2 * Z95)


def _reach(pair: Pair, images: int) -> str:
    """The least detectable difference, and the images needed for this one; "" for groups."""
    if pair.first_alone is None or pair.second_alone is None:
        return ""
    apart, alpha = (pair.first_alone + pair.second_alone) / images, SURE / pair.pairs
    least = detectable_difference(images, apart, alpha)
    shows = f"can show a difference of {least:.3f} or more" if least else "are too few to show any"
    said = f"{images:,} images {shows} (power 80%)"
    if pair.difference > 0:
        needed = images_needed(pair.difference, apart, alpha)
        said += f"; showing one of {pair.difference:.3f} takes about {_rounded(needed):,}"
    return f"{said}."


def _rounded(count: int) -> int:
    """Rounded up to two digits."""
    unit = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // unit) * unit
