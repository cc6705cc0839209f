"""Runs an augmentation of the host image by image, in other processes once that pays."""

import inspect
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.batches.by_image import Generators, generators, windows_by_image
from kerascnn.engine.data.decoding.preparation import random_windows
from kerascnn.errors import InputError, PluginError, RunError
from kerascnn.hookspecs import HostAugmentation
from kerascnn.runtime.devices import available_cores
from kerascnn.runtime.text import shape
from kerascnn.runtime.tracebacks import described
from kerascnn.runtime.workers import WORTH_PROCESSES_SECONDS, Sent

_PIECE = 4  # images per task of a process, at least: a task costs as much as a quick one
_PICKLABLE = (
    "Keep what cannot be pickled, such as a lock, an open file or a database connection, out of "
    "the HostAugmentation, and create it on first use inside apply."
)


@dataclass(frozen=True)
class Host:
    """An augmentation of the host, and what messages call it."""

    policy: HostAugmentation
    named: str

    def __call__(self, images: np.ndarray, rngs: Generators) -> np.ndarray:
        """Augments images uint8 [B, S, S, 3], each by its own generator."""
        augmented = np.empty_like(images)
        each = zip(np.ascontiguousarray(images), rngs, strict=True)
        for row, (image, rng) in enumerate(each):
            augmented[row] = self._one(image, rng)
        return augmented

    def _one(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        wanted = _described(image)
        try:
            made = self.policy.apply(image, rng)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            package = _function(self.policy.apply).__module__.partition(".")[0]
            raise PluginError(
                f"{self.named}: apply(image, rng) raised {described(error, package)}. It must "
                f"augment every {wanted}; correct it, or choose another augmentation."
            ) from error
        if not isinstance(made, np.ndarray) or _described(made) != wanted:
            raise PluginError(
                f"{self.named}: apply(image, rng) must return {wanted}, as it received, not "
                f"{_described(made)}{self.place}. Resize, round and clip the image before it is "
                "returned."
            )
        return made

    @property
    def place(self) -> str:
        """Where `apply` is defined, such as " (gain.py, line 3)", or ""."""
        code = getattr(_function(self.policy.apply), "__code__", None)
        return f" ({Path(code.co_filename).name}, line {code.co_firstlineno})" if code else ""


class HostAugmenter:
    """Augments images on the host; see `Augmenter`.

    It begins in this process. Once that has taken as long as starting other processes does, they
    take over, unless there is only one core: the images are the same wherever they are made.
    """

    def __init__(self, host: Host, seed: tuple[int, ...], view_seed: int, image_size: int) -> None:
        self._host, self._image_size = host, image_size
        self._seed, self._view_seed = seed, view_seed
        self._pickled = _pickled(host)  # at once, so that it is refused on any machine
        self._processes: _Processes | None = None
        self._seconds = 0.0  # spent in this process

    def afresh(self, images: Any, targets: Any, epoch: int, step: int) -> tuple[Any, Any]:
        key = (*self._seed, epoch, step + 1)
        images = random_windows(images, self._image_size, np.random.default_rng(key))
        return self._augmented(images, generators_of(key, len(images))), targets

    def view(self, images: Any, digests: np.ndarray, targets: Any, number: int) -> np.ndarray:
        rngs = generators(self._view_seed, number, digests)
        return self._augmented(windows_by_image(images, self._image_size, rngs), rngs)

    def _augmented(self, images: np.ndarray, rngs: Generators) -> np.ndarray:
        if self._seconds > WORTH_PROCESSES_SECONDS and available_cores() > 1:
            self._processes = self._processes or _Processes(self._host, self._pickled)
            return self._processes(images, rngs)
        start = time.perf_counter()
        augmented = self._host(images, rngs)
        self._seconds += time.perf_counter() - start
        return augmented


def generators_of(key: tuple[int, ...], count: int) -> Generators:
    """A generator for each place in a batch, which begins at 1: NumPy ignores a trailing 0."""
    return [np.random.default_rng([*key, place + 1]) for place in range(count)]


class _Processes:
    """Augments a batch in the worker processes, which share its images through a file."""

    def __init__(self, host: Host, pickled: bytes) -> None:
        self._host, self._sent = host, Sent(pickled)
        self._file = self._sent.folder / "batch"

    def __call__(self, images: np.ndarray, rngs: Generators) -> np.ndarray:
        if not self._file.exists() or self._file.stat().st_size < images.nbytes:
            self._file.write_bytes(bytes(images.nbytes))  # zeros, so that a full disk is noticed
        shared = _mapped(self._file, images.shape)
        shared[:] = images
        width = max(_PIECE, -(-len(images) // available_cores()))
        pieces = [slice(first, first + width) for first in range(0, len(images), width)]
        tasks = [
            self._sent.submit(_augment_piece, self._file, images.shape, piece, rngs[piece])
            for piece in pieces
        ]
        try:
            for task in tasks:
                task.result()
        except (InputError, MemoryError):
            raise
        except BrokenProcessPool as error:
            raise RunError(
                f"{self._host.named}: a process that augments images ended: out of memory, or a "
                f"crash of a library that apply uses{self._host.place}."
            ) from error
        except Exception as error:
            raise _unsendable(self._host, error) from error
        return shared.copy()


def _augment_piece(
    host: Host, file: Path, sizes: tuple[int, ...], piece: slice, rngs: Generators
) -> None:
    images = _mapped(file, sizes)
    images[piece] = host(images[piece], rngs)


def _mapped(file: Path, sizes: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.memmap(file, np.uint8, "r+", shape=sizes))


def _pickled(host: Host) -> bytes:
    import cloudpickle  # type: ignore[import-untyped]

    try:
        return cloudpickle.dumps(host)
    except Exception as error:
        raise _unsendable(host, error) from error


def _unsendable(host: Host, error: Exception) -> PluginError:
    return PluginError(
        f"{host.named}: its HostAugmentation cannot be sent to another process: "
        f"{type(error).__name__}: {error}{host.place}. {_PICKLABLE}"
    )


def _described(made: Any) -> str:
    is_array = isinstance(made, np.ndarray)
    return f"{made.dtype} {shape(made.shape)}" if is_array else type(made).__name__


def _function(apply: Any) -> Any:
    """The function behind a callable: of a partial, a method or an object."""
    while isinstance(apply, partial):
        apply = apply.func
    if not inspect.isroutine(apply) and not isinstance(apply, type):
        apply = type(apply).__call__
    return inspect.unwrap(apply)
