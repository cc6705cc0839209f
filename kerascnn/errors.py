"""The tree of errors; `cli` turns each into one message and an exit code."""

from collections.abc import Iterable
from difflib import get_close_matches


class KerascnnError(Exception):
    """Anything that kerascnn itself refuses or fails at; its text is for the user."""

    exit_code = 1


class InputError(KerascnnError):
    """The user's input is at fault: a file, a name, a value, a missing package."""

    exit_code = 2


class PluginError(InputError):
    """A plugin package is broken, or breaks the contract of `kerascnn.hookspecs`."""


class RunError(KerascnnError):
    """The run itself failed: a check did not hold, or training went wrong."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Returns ' Did you mean "x"?' for the nearest candidate, else an empty string."""
    near = get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return f' Did you mean "{near[0]}"?' if near else ""
