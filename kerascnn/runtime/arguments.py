"""Checks of the arguments of public functions, with one short message each."""

from collections.abc import Iterable, Mapping
from io import IOBase
from typing import Any

from kerascnn.errors import InputError


def as_list(given: Any, item: type | tuple[type, ...], what: str) -> list[Any]:
    """The items of an iterable; a single item is a list of one.

    Args:
        given: The argument.
        item: The types allowed for an item.
        what: What the items are, in the plural, such as "architectures".

    Raises:
        InputError: An item has another type. The message shows no values: they may be large arrays.
    """
    if isinstance(given, item) or not isinstance(given, Iterable):
        items = [given]
    elif isinstance(given, Mapping | IOBase):  # its keys or lines are not meant
        raise InputError(f"{what}: expected a list or a single one, not {_type(given)}.")
    else:
        items = list(given)
    for number, one in enumerate(items, 1):
        if not isinstance(one, item):
            place = f"number {number} is" if len(items) > 1 else "got"
            raise InputError(f"{what}: expected {_types(item)}; {place} {_type(one)}.")
    return items


def expect(given: Any, kinds: type | tuple[type, ...], what: str, hint: str = "") -> None:
    """Raises InputError unless `given` has one of these types; `hint` says how to get one."""
    if not isinstance(given, kinds):
        raise InputError(f"{what}: expected {_types(kinds)}, not {_type(given)}.{hint}")


def expect_count(given: Any, what: str, least: int = 1) -> None:
    """Raises InputError unless `given` is a whole number of at least `least`."""
    if not isinstance(given, int) or isinstance(given, bool) or given < least:
        shown = given if isinstance(given, int) else _type(given)
        raise InputError(f"{what}: expected a whole number of at least {least}, not {shown}.")


def expect_share(given: Any, what: str) -> float | None:
    """Raises InputError unless `given` is a number between 0 and 1, or None."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if given is not None and not (is_number and 0 < given < 1):
        shown = f"{given:g}" if is_number else _type(given)
        raise InputError(f"{what}: expected a number between 0 and 1, not {shown}.")
    return given


def _types(kinds: type | tuple[type, ...]) -> str:
    each = kinds if isinstance(kinds, tuple) else (kinds,)
    return " or ".join(dict.fromkeys(_NAMES.get(kind.__name__, kind.__name__) for kind in each))


def _type(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


_NAMES = {
    **{"str": "a string", "PathLike": "a path", "bytes": "bytes", "ndarray": "a uint8 array"},
    "Image": "a Pillow image",
    "BoundExperiment": "an experiment",
    "Result": "a Result",
    "Mapping": "a table",
}
