"""Checkpoints on disk: the last states of a run, each written whole or not at all."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.errors import ResumeError
from kerascnn.runtime.files import whole_folder

State = dict[str, Any]
"""Dicts, lists, numbers, strings and NumPy arrays, nested freely."""

KEPT = 2
SHARE = 0.02  # of the time, at most, is spent on checkpoints
FIRST_COST = 0.05  # seconds that the first one is expected to take

_TABLE, _ARRAYS, _MANIFEST = "state.json", "arrays.npz", "manifest.json"
_FORMAT = 8
_HIDDEN = "."


class DamagedError(Exception):
    """A checkpoint differs from what was written."""


class UnreadableError(ResumeError):
    """A checkpoint may be intact but cannot be read now, or not by this version; it is kept."""


class Checkpoints:
    """A folder, used for nothing else, with the last two states of a run.

    A state is written to a temporary folder, hashed, synced to disk and only then renamed, so that
    the last one is always whole. Nothing is pickled.

    Args:
        seconds: Minimum time between checkpoints; 0: write at every opportunity.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, folder: Path, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._seconds, self._clock = folder, seconds, clock
        self._last, self._cost = clock(), FIRST_COST

    def due(self, epoch_ended: bool = False) -> bool:
        """Whether to write one now: at the end of an epoch before `seconds` are over, if cheap."""
        passed = self._clock() - self._last
        if passed * SHARE < self._cost and self._seconds:
            return False
        return epoch_ended or passed >= self._seconds

    def write(self, state: State) -> None:
        """Writes a state and removes all but the last two; raises OSError if the disk fails."""
        start = self._last = self._clock()
        self._folder.mkdir(exist_ok=True)
        self._remove(lambda path: not path.name.isdecimal())  # what a killed process left
        number = 1 + max((int(path.name) for path in self._written()), default=0)
        with whole_folder(self._folder / f"{number:06}") as new:
            write_state(new, state)
        kept = self._written()[-KEPT:]
        self._remove(lambda path: path not in kept)
        self._last = self._clock()
        self._cost = self._last - start

    def read(self) -> tuple[State | None, list[str]]:
        """The newest intact state, or None; and a sentence for each damaged one, which is removed.

        Raises:
            UnreadableError: A newer one may be intact; nothing is removed.
        """
        damaged: dict[Path, str] = {}
        state = None
        with _kept(self._folder):
            for folder in reversed(self._written()):
                try:
                    state = read_state(folder)
                    break
                except (DamagedError, FileNotFoundError, NotADirectoryError) as fault:
                    damaged[folder] = f"checkpoint {folder.name} is damaged: {fault}"
        with suppress(OSError):  # a read-only folder
            self._remove(lambda path: path in damaged)
        return state, list(damaged.values())

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _written(self) -> list[Path]:
        """The oldest first, by number."""
        found = self._folder.iterdir() if self._folder.exists() else ()
        return sorted((p for p in found if p.name.isdecimal()), key=lambda path: int(path.name))

    def _remove(self, chosen: Callable[[Path], bool]) -> None:
        for path in filter(chosen, list(self._folder.glob("*"))):
            if not path.name.startswith(_HIDDEN):  # hidden first: it may be removed in part
                hidden = path.with_name(f"{_HIDDEN}{path.name}")
                shutil.rmtree(hidden, ignore_errors=True)
                path = path.rename(hidden)
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """An intact checkpoint may be unreadable for a while: too many open files, a missing share."""
    try:
        yield
    except OSError as fault:
        raise UnreadableError(
            f"cannot read the checkpoints in {folder}: {fault.strerror or fault}: "
            f"{fault.filename}. They may be intact and are kept: resume when this is fixed, or "
            "remove the unreadable one to resume from the one before."
        ) from fault


def write_state(folder: Path, state: State) -> None:
    """Writes a state into an empty folder; raises TypeError for Python objects."""
    arrays: dict[str, np.ndarray] = {}
    table = json.dumps(split_arrays(state, "state", arrays))
    (folder / _TABLE).write_text(table, "utf-8")
    with (folder / _ARRAYS).open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    (folder / _MANIFEST).write_text(_manifest(folder), "utf-8")


def read_state(folder: Path) -> State:
    """Reads what `write_state` wrote.

    Raises:
        DamagedError: It differs from what was written.
        UnreadableError: Another version wrote it.
    """
    said = (folder / _MANIFEST).read_bytes()
    if said != _manifest(folder).encode():
        _refuse_other_format(folder, said)
        raise DamagedError("its files do not match its manifest")
    with np.load(folder / _ARRAYS, allow_pickle=False) as file:
        arrays = dict(file)
    return join_arrays(json.loads((folder / _TABLE).read_text("utf-8")), arrays)


def _refuse_other_format(folder: Path, manifest: bytes) -> None:
    try:
        number = json.loads(manifest)["format"]
    except (ValueError, TypeError, KeyError):
        return
    if number != _FORMAT:
        raise UnreadableError(
            f"the checkpoint {folder} has format {number}, and this version of kerascnn reads "
            f"format {_FORMAT}. It is kept: resume with the version that wrote it, or start a new "
            "run without --resume."
        )


def _manifest(folder: Path) -> str:
    files = {}
    for name in (_TABLE, _ARRAYS):
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[name] = {"bytes": (folder / name).stat().st_size, "sha256": digest}
    return json.dumps({"format": _FORMAT, "files": files}, indent=2)


def split_arrays(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Replaces each array by its name, and collects the arrays; raises TypeError for objects."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:  # NumPy would pickle it
            raise TypeError(f"{name}: a checkpoint cannot store Python objects")
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {key: split_arrays(part, f"{name}/{key}", arrays) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [split_arrays(part, f"{name}/{index}", arrays) for index, part in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def join_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Undoes `split_arrays`."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {key: join_arrays(part, arrays) for key, part in value.items()}
    if isinstance(value, list):
        return [join_arrays(part, arrays) for part in value]
    return value
