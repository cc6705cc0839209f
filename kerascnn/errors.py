"""The exceptions; the command line turns each into one message and an exit code."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

FAMILY_SHOWN = 6  # names


class KerascnnError(Exception):
    """Base class of all errors that kerascnn raises; the text is a message for the user."""

    exit_code = 1


class InputError(KerascnnError):
    """The user's input is at fault: a file, a name, a value, a missing package."""

    exit_code = 2


class ResumeError(InputError):
    """A run cannot be resumed as things are; it is left as it was."""


class PluginError(InputError):
    """A plugin package is broken, or breaks the contract of `kerascnn.hookspecs`."""


class SourceError(PluginError):
    """A dataset's source failed; `RegisteredComponent.named` says of which dataset."""


class RunError(KerascnnError):
    """The run failed: a check did not pass, or training went wrong."""


class PassingError(RunError):
    """What the run needs failed outside of it, such as a server; once that works, it can resume."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Returns ' Did you mean "x"?' for the nearest candidates, else an empty string.

    Ignores case, spaces, "-", "_" and ".". If only the number at the end differs, as in "resnet18",
    all candidates with another number are suggested.
    """
    plain = {candidate: _plain(candidate) for candidate in candidates}
    near = [of for of, text in plain.items() if text == _plain(name)][:1] or _family(name, plain)
    if not near and (close := get_close_matches(_plain(name), plain.values(), n=1, cutoff=0.5)):
        near = [of for of, text in plain.items() if text == close[0]][:1]
    *first, last = [f'"{one}"' for one in near] or [""]
    return f" Did you mean {', '.join(first)}{' or ' if first else ''}{last}?" if near else ""


def _plain(name: str) -> str:
    return re.sub(r"[-_. ]", "", name.casefold())


def _family(name: str, plain: Mapping[str, str]) -> list[str]:
    """The candidates that differ from the name only in the number at the end."""
    numbered = re.fullmatch(r"(\D{2,})\d+", _plain(name))
    if not numbered:
        return []
    stem = re.escape(numbered[1])
    found = {
        of: int(text[len(numbered[1]) :])
        for of, text in plain.items()
        if re.fullmatch(rf"{stem}\d+", text)
    }
    return sorted(found, key=found.__getitem__)[:FAMILY_SHOWN]
