"""Activations at the boundary: computed once, by a faster equivalent network, and cached."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from kerascnn.engine.network.folding import DisagreementError, check_agreement, fold
from kerascnn.engine.network.freezing import digest
from kerascnn.engine.network.inference import Forward, run_once
from kerascnn.engine.network.saved import modules_in
from kerascnn.errors import RunError
from kerascnn.runtime.cache import cached, scratch
from kerascnn.runtime.devices import concurrent_calls, device_name
from kerascnn.runtime.keras_internals import nested_layers
from kerascnn.runtime.source_code import UnknownCodeError, code_key, modules_key, refuse_local
from kerascnn.runtime.versions import installed_versions

IN_MEMORY_BYTES = 2**30
"""Activations up to this size are read into memory; larger ones are memory-mapped."""

BATCH_SIZE = 32
"""Images per call, the same for all experiments, so that they share activations. On two cores, 8 to
64 are equally fast (benchmarks/README.md)."""

_ACTIVATIONS, _LABELS, _REASON = "activations.npy", "labels.npy", "reason.txt"

Rows = tuple[np.ndarray, np.ndarray, np.ndarray | None]
Activations = tuple[np.ndarray, np.ndarray | None]


class Prefix:
    """A frozen prefix; its activations for a set of images are computed once and cached.

    It runs folded, and in another precision if requested. The result is compared with the original
    model; if they disagree, or numbers overflow, the original runs from then on.

    Args:
        model: From images to activations, run in inference mode.
        precision: A dtype policy to compute in; default the layers' own.
        built_by: The function that built the network; its package's code is part of the cache key.
        warned: Receives a warning if the original model runs, or nothing can be cached.
    """

    def __init__(
        self,
        model: Any,
        precision: str | None = None,
        built_by: Callable | None = None,
        warned: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._model, self._precision, self._warned = model, precision, warned
        self._built_by = built_by
        self._original = False

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

    def activations(
        self, images: str, count: int, about: str, batches: Callable[[], Iterator[Rows]]
    ) -> Activations:
        """Runs the prefix over a set of N = `count` images, or reads the cache.

        Args:
            images: Identifies the images and labels; "" to cache nothing.
            about: A readable line for the cache's index.
            batches: Yields the images in any order: rows int [B], images [B, S, S, 3] and, if
                they are mixed, labels [B, K], else None.

        Returns:
            The activations [N, ...] in the boundary's dtype; the labels float32 [N, K], or None.

        Raises:
            RunError: The original model gives numbers that are not finite.
        """

        def build(folder: Path) -> None:
            try:
                self._compute(folder, count, batches())
            except DisagreementError as reason:
                for file in folder.iterdir():
                    file.unlink()
                (folder / _REASON).write_text(str(reason), "utf-8")

        if not (images and self.key):
            with scratch("activations") as folder:
                build(folder)
                found = self._read(folder)
        else:
            way = "as it is" if self._original else f"folded, {self._precision}"
            key = hashlib.sha256(f"{self.key} {way} {images}".encode()).hexdigest()
            found = cached("activations", key, about, build, self._read)
        if isinstance(found, str):
            self._run_original(found)
            return self.activations(images, count, about, batches)
        return found

    def _run_original(self, reason: str) -> None:
        self._original = True
        self.__dict__.pop("_forward", None)
        changed = f"in {self._precision}" if self._precision else "with BatchNorm folded"
        self._warned(f"the frozen part runs unchanged instead of {changed}: {reason}")

    def _compute(self, folder: Path, count: int, batches: Iterable[Rows]) -> None:
        shape = (count, *self._model.output_shape[1:])
        with _RowsFile(folder / _ACTIVATIONS, shape, self.dtype) as file:
            labels: dict[int, np.ndarray] = {}
            for rows, values, mixed in self._outputs(count, batches):
                file.write(rows, values)
                labels |= {} if mixed is None else dict(zip(rows, mixed, strict=True))
        if labels:
            np.save(folder / _LABELS, [labels[row] for row in range(count)])

    def _outputs(self, count: int, batches: Iterable[Rows]) -> Iterator[Rows]:
        forward, dtype = self._forward, self.dtype

        def run(
            number: int, rows: np.ndarray, images: np.ndarray, mixed: np.ndarray | None
        ) -> Rows:
            with np.errstate(over="ignore"):
                values = forward(images, BATCH_SIZE).astype(dtype)
            # in this thread: on JAX no two threads may run models that share weights
            self._check(values, images, rows, count, first=number == 0)
            return rows, values, mixed

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

    def _read(self, folder: Path) -> Activations | str:
        """The cached activations, or the reason why the folded model was rejected."""
        if (reason := folder / _REASON).exists():
            return reason.read_text("utf-8")
        file, labels = folder / _ACTIVATIONS, folder / _LABELS
        mapped = file.stat().st_size > IN_MEMORY_BYTES
        activations = np.load(file, mmap_mode="r" if mapped else None)
        return activations.view(self.dtype), np.load(labels) if labels.exists() else None


class _RowsFile:
    """An .npy file whose rows are written in any order, without keeping pages mapped."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        self._offset, self._row_bytes = array.offset, array.strides[0]
        self._file = path.open("r+b")

    def __enter__(self) -> "_RowsFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        for row, value in zip(rows, values, strict=True):
            self._file.seek(self._offset + int(row) * self._row_bytes)
            self._file.write(value.tobytes())


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
