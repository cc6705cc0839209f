"""Checkpoints: the last moments of a run on disk, each of them whole or not there at all."""

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
"""Tables, lists, numbers, texts and NumPy arrays, nested at will."""

KEPT = 2
SHARE = 0.02  # of the time, at most, goes into checkpoints

_TABLE, _ARRAYS, _MANIFEST = "state.json", "arrays.npz", "manifest.json"
_FORMAT = 2
_HIDDEN = "."


class DamagedError(Exception):
    """A checkpoint is not what was written."""


class UnreadableError(ResumeError):
    """A checkpoint that may be good cannot be read now, or not by this version; it is kept."""


class Checkpoints:
    """A folder with the last two states of a run.

    A state is written beside its place, hashed, put on the disk and only then renamed, so that
    whatever happens the last one is whole. Nothing in it is pickled.

    Args:
        folder: Theirs alone; made with the first one.
        seconds: From one to the next; 0: at every occasion.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder, self._seconds = folder, seconds
        self._last, self._cost = time.monotonic(), 0.0

    def due(self, epoch_ended: bool = False) -> bool:
        """Whether one is to be written now: at an epoch's end early, where it costs little."""
        passed = time.monotonic() - self._last
        if passed * SHARE < self._cost and self._seconds:
            return False
        return epoch_ended or passed >= self._seconds

    def write(self, state: State) -> None:
        """Writes a state and forgets all but the last two; raises OSError where the disk fails."""
        start = self._last = time.monotonic()
        self._folder.mkdir(exist_ok=True)
        self._remove(lambda path: not path.name.isdecimal())  # what a killed process left
        with whole_folder(self._folder / f"{self._next():06}") as new:
            _write(new, state)
        kept = self._written()[-KEPT:]
        self._remove(lambda path: path not in kept)
        self._last = time.monotonic()
        self._cost = self._last - start

    def read(self) -> tuple[State | None, list[str]]:
        """Reads the newest state that is whole, and forgets those that are not.

        Returns:
            The state, None where there is none, and a sentence for each that is damaged.

        Raises:
            UnreadableError: One before it may be whole; nothing is removed.
        """
        damaged: dict[Path, str] = {}
        state = None
        with _kept(self._folder):
            for folder in reversed(self._written()):
                try:
                    state = _read(folder)
                    break
                except (DamagedError, FileNotFoundError, NotADirectoryError) as fault:
                    damaged[folder] = f"checkpoint {folder.name} is damaged: {fault}"
        with suppress(OSError):  # where nothing can be written, nothing can be removed
            self._remove(lambda path: path in damaged)
        return state, list(damaged.values())

    def remove(self) -> None:
        """Removes them all: the run has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _written(self) -> list[Path]:
        """From the oldest to the newest; their numbers may have any length."""
        found = self._folder.iterdir() if self._folder.exists() else ()
        return sorted((p for p in found if p.name.isdecimal()), key=lambda path: int(path.name))

    def _next(self) -> int:
        return 1 + max((int(path.name) for path in self._written()), default=0)

    def _remove(self, chosen: Callable[[Path], bool]) -> None:
        for path in filter(chosen, list(self._folder.glob("*"))):
            if not path.name.startswith(_HIDDEN):  # half removed it must not be found
                hidden = path.with_name(f"{_HIDDEN}{path.name}")
                shutil.rmtree(hidden, ignore_errors=True)
                path = path.rename(hidden)
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """What keeps a good checkpoint from being read may pass: too many open files, a share away."""
    try:
        yield
    except OSError as fault:
        raise UnreadableError(
            f"cannot read the checkpoints in {folder}: {fault.strerror or fault}: "
            f"{fault.filename}. They may be whole and are kept: resume once that is mended, or "
            "remove the one that cannot be read to go on from the one before."
        ) from fault


def _write(folder: Path, state: State) -> None:
    arrays: dict[str, np.ndarray] = {}
    table = json.dumps(_split(state, "state", arrays))
    (folder / _TABLE).write_text(table, "utf-8")
    with (folder / _ARRAYS).open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    (folder / _MANIFEST).write_text(_manifest(folder), "utf-8")


def _read(folder: Path) -> State:
    said = (folder / _MANIFEST).read_bytes()
    if said != _manifest(folder).encode():
        _refuse_other_format(folder, said)
        raise DamagedError("its files are not those that its manifest names")
    with np.load(folder / _ARRAYS, allow_pickle=False) as file:
        arrays = dict(file)
    return _joined(json.loads((folder / _TABLE).read_text("utf-8")), arrays)


def _refuse_other_format(folder: Path, manifest: bytes) -> None:
    try:
        number = json.loads(manifest)["format"]
    except (ValueError, TypeError, KeyError):
        return
    if number != _FORMAT:
        raise UnreadableError(
            f"the checkpoint {folder} has format {number}, and this version of kerascnn reads "
            f"format {_FORMAT}. It is kept: resume with the version that wrote it, or begin a new "
            "run without --resume."
        )


def _manifest(folder: Path) -> str:
    """What the manifest of these files has to say, to the byte."""
    files = {}
    for name in (_TABLE, _ARRAYS):
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[name] = {"bytes": (folder / name).stat().st_size, "sha256": digest}
    return json.dumps({"format": _FORMAT, "files": files}, indent=2)


def _split(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """The value with each array replaced by its name."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:  # which NumPy would pickle
            raise TypeError(f"{name}: objects of Python cannot be kept in a checkpoint")
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {key: _split(part, f"{name}/{key}", arrays) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_split(part, f"{name}/{index}", arrays) for index, part in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _joined(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {key: _joined(part, arrays) for key, part in value.items()}
    if isinstance(value, list):
        return [_joined(part, arrays) for part in value]
    return value
