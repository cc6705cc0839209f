"""Activations at the boundary: once per image, by a faster equivalent network, and cached."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from kerascnn.engine.network.folding import DisagreementError, check_agreement, fold
from kerascnn.engine.network.freezing import digest
from kerascnn.engine.network.inference import Forward, run_once
from kerascnn.engine.network.saved import modules_in
from kerascnn.engine.network.stored import StoredRows, scratch_rows
from kerascnn.errors import RunError
from kerascnn.runtime.cache import cached
from kerascnn.runtime.compilation import BATCH_SIZE
from kerascnn.runtime.devices import concurrent_calls, device_name
from kerascnn.runtime.keras_internals import nested_layers
from kerascnn.runtime.row_store import RowStore
from kerascnn.runtime.source_code import UnknownCodeError, code_key, modules_key, refuse_local
from kerascnn.runtime.versions import installed_versions

KIND, COLUMN = "activations", "activations"

_REASON = "reason.txt"

Batch = tuple[np.ndarray, Any]
"""Rows int [B], and their images [B, S, S, 3]; later their activations [B, ...]."""


class Prefix:
    """A frozen prefix; the activations of an image are computed once and cached.

    It runs folded, and in another precision if requested. The result is compared with the original
    model: if they disagree, or numbers overflow, DisagreementError is raised, and `reject` makes
    the original run, in later processes too.

    Args:
        model: From images to activations, run in inference mode.
        about: What listings of the cache call it.
        precision: A dtype policy to compute in; default the layers' own.
        built_by: The function that built the network; its package's code is part of the cache key.
        warned: Receives a warning if the original model runs, or nothing can be cached.
    """

    def __init__(
        self,
        model: Any,
        about: str,
        precision: str | None = None,
        built_by: Callable | None = None,
        warned: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._model, self._about = model, about
        self._precision, self._warned = precision, warned
        self._built_by = built_by
        self._original = False
        if reason := self.key and self._rejection:
            self._run_original(reason)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the cached activations: the boundary's compute dtype, so nothing is lost."""
        import keras
        import ml_dtypes  # noqa: F401  makes NumPy know bfloat16

        changed = self._precision and not self._original
        policy = changed and keras.DTypePolicy(self._precision).compute_dtype
        return np.dtype(policy or self._model.output.dtype)

    @cached_property
    def key(self) -> str:
        """SHA-256 of everything that determines an image's activations, except how the model runs.

        "" if that is unknown: then nothing is cached.
        """
        import keras

        try:
            structure = structure_of(self._model, self._built_by)
        except UnknownCodeError as unknown:
            self._warned(f"activations are computed in each stage and not cached: {unknown}")
            return ""
        decides = (
            digest(self._model.weights),
            structure,
            device_name(),
            keras.config.backend(),
            sorted(installed_versions().items()),
        )
        return hashlib.sha256(repr(decides).encode()).hexdigest()

    @cached_property
    def _fast(self) -> Any:
        try:
            return fold(self._model, self._precision)
        except Exception as error:  # anything that copying a plugin's layer raises
            raise DisagreementError(
                f"it cannot be copied: {type(error).__name__}: {error}"
            ) from error

    @cached_property
    def _forward(self) -> Forward:
        return Forward(self._model if self._original else self._fast)

    def stored(
        self,
        digests: np.ndarray,
        seen: str,
        what: str,
        batches: Callable[[Iterator[np.ndarray]], Iterable[Batch]],
    ) -> Any:
        """The activations of N images, from the cache as far as they are there.

        Args:
            digests: SHA-256 of the prepared images, uint8 [N, 32].
            seen: Identifies what the network sees of an image: all of it, or which view.
            what: The same in words, for listings of the cache.
            batches: Receives the rows int [B] to compute, of at most `BATCH_SIZE`; yields them with
                their images, in any order.

        Returns:
            An array [N, ...] in the boundary's dtype; if it is large, indexed like one, and read
            when it is.

        Raises:
            DisagreementError: The original has to run: see `reject`.
            RunError: The original model gives numbers that are not finite.
        """

        def make(claims: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, dict]]:
            for rows, values in self._outputs(len(digests), batches(claims)):
                yield rows, {COLUMN: values}

        key = self._hashed(seen)
        columns = {COLUMN: (self.dtype, self._model.output_shape[1:])}
        store = RowStore(KIND, key, f"{self._about}: {what}", columns)
        store.fill(digests, make, BATCH_SIZE)
        return StoredRows(store, COLUMN, store.find(digests), *columns[COLUMN]).in_memory()

    def unstored(self, count: int, batches: Iterable[Batch]) -> np.ndarray:
        """As `stored`, of images that cannot be found again: on the disk only while in use."""
        shape = (count, *self._model.output_shape[1:])
        return scratch_rows(KIND, shape, self.dtype, self._outputs(count, batches))

    def reject(self, reason: DisagreementError) -> None:
        """Runs the original model from now on."""

        def write(folder: Path) -> None:
            (folder / _REASON).write_text(str(reason), "utf-8")

        if self.key:
            cached(KIND, self._hashed("rejected"), f"{self._about}: {reason}", write, lambda _: 0)
        self._run_original(str(reason))

    @property
    def _rejection(self) -> str:
        """Why the original model runs, found by an earlier process; "" if it does not."""

        def absent(folder: Path) -> None:
            raise FileNotFoundError

        def read(folder: Path) -> str:
            return (folder / _REASON).read_text("utf-8")

        with suppress(FileNotFoundError):
            return cached(KIND, self._hashed("rejected"), "", absent, read)
        return ""

    def _hashed(self, seen: str) -> str:
        return hashlib.sha256(f"{self.key} {self.way} {seen}".encode()).hexdigest()

    @property
    def way(self) -> str:
        """How the model runs."""
        return "as it is" if self._original else f"folded, {self._precision}"

    def _run_original(self, reason: str) -> None:
        self._original = True
        self.__dict__.pop("_forward", None)
        changed = f"in {self._precision}" if self._precision else "with BatchNorm folded"
        self._warned(f"the frozen part runs unchanged instead of {changed}: {reason}")

    def _outputs(self, count: int, batches: Iterable[Batch]) -> Iterator[Batch]:
        forward, dtype = self._forward, self.dtype

        def run(number: int, rows: np.ndarray, images: np.ndarray) -> Batch:
            with np.errstate(over="ignore"):
                values = forward(images, BATCH_SIZE).astype(dtype)
            # in this thread: on JAX no two threads may run models that share weights
            self._check(values, images, rows, count, first=number == 0)
            return rows, values

        calls = concurrent_calls()
        workers = Parallel(calls, prefer="threads", return_as="generator", pre_dispatch=calls)
        yield from workers(delayed(run)(number, *batch) for number, batch in enumerate(batches))

    def _check(
        self, values: np.ndarray, images: np.ndarray, rows: np.ndarray, count: int, first: bool
    ) -> None:
        """Compares a batch's activations with the original model, if they are suspect."""
        axes = tuple(range(1, values.ndim))
        finite = np.isfinite(values).all(axes)
        if not self._original and not finite.all():
            values = run_once(self._model, images)
            if np.isfinite(values).all():
                raise DisagreementError(f"activations overflow {self.dtype}")
            finite = np.isfinite(values).all(axes)
        if not finite.all():
            raise RunError(
                "the frozen part of the network gives activations that are not finite, first for "
                f"image {rows[~finite][0] + 1:,} of {count:,}. Its weights are damaged, or "
                f"{self._model.output.dtype} is too narrow for them."
            )
        if first and not self._original:
            check_agreement(self._fast, self._model, images, values)


def structure_of(model: Any, built_by: Callable | None) -> str:
    """What determines the model's function besides its weights: settings and code, if known."""
    try:
        config = model.get_config() | {"name": ""}  # Keras numbers its models
    except Exception as error:  # of a plugin's layer
        raise UnknownCodeError(f"{type(error).__name__}: {error}") from error
    made_of = {type(operation) for operation in [*model.operations, *nested_layers(model)]}
    code = code_key([*made_of, *([built_by] if built_by else [])])
    refuse_local(made_of)
    named = modules_key(modules_in(config))
    return json.dumps(config, sort_keys=True, default=str) + code + named
