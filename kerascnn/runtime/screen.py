"""How results print in a notebook: on one screen, however large they are."""

from collections.abc import Iterable, Sequence

from kerascnn.runtime.text import LISTED

LONGEST = 200  # characters of a line


def screen(title: str, rows: Iterable[tuple[str, object]] = ()) -> str:
    """A title, with names and values in two columns below it."""
    pairs = [(name, str(value)) for name, value in rows]
    width = max((len(name) for name, _ in pairs), default=0)
    lines = [f"  {name:<{width}}  {value}" for name, value in pairs]
    cut = [line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in lines]
    return "\n".join([title, *cut])


def first_rows(rows: Sequence[tuple[str, object]]) -> list[tuple[str, object]]:
    """The first rows, and one that counts the others."""
    more = [("…", f"{len(rows) - LISTED:,} more")] if len(rows) > LISTED else []
    return [*rows[:LISTED], *more]


def accuracy(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
