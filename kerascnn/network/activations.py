"""Activations at the boundary: computed once, as fast as is honest, and kept in the cache."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from kerascnn import runtime
from kerascnn.cache import cached, scratch
from kerascnn.network.folding import fold
from kerascnn.network.freezing import digest
from kerascnn.network.inference import Forward

IN_MEMORY_BYTES = 2**30
"""Activations up to this size are read into memory; larger ones are memory-mapped."""

BATCH_SIZE = 32
"""Pictures at once, whatever the experiment says, so that experiments share what they compute; on
two cores 8 to 64 are equally fast (benchmarks/README.md)."""

_ACTIVATIONS, _LABELS = "activations.npy", "labels.npy"

Rows = tuple[np.ndarray, np.ndarray, np.ndarray | None]


class Prefix:
    """A frozen prefix; what it gives for a set of pictures is computed once and kept.

    Args:
        model: From pictures to activations, run in inference mode.
        precision: A dtype policy to compute in; default the layers' own.
    """

    def __init__(self, model: Any, precision: str | None = None) -> None:
        self._model, self._precision = model, precision

    @property
    def dtype(self) -> np.dtype:
        """What the activations are kept in: what the boundary computes in, so nothing is lost."""
        import keras
        import ml_dtypes  # noqa: F401  makes NumPy know bfloat16

        policy = self._precision and keras.DTypePolicy(self._precision).compute_dtype
        return np.dtype(policy or self._model.output.dtype)

    @cached_property
    def key(self) -> str:
        """SHA-256 of all that decides the activations of a picture."""
        import keras

        decides = (
            digest(self._model.weights),
            _structure(self._model),
            self._precision,
            runtime.device_name(),
            keras.config.backend(),
            sorted(runtime.versions().items()),
        )
        return hashlib.sha256(repr(decides).encode()).hexdigest()

    @cached_property
    def _forward(self) -> Forward:
        return Forward(fold(self._model, self._precision))

    def activations(
        self, pictures: str, count: int, about: str, batches: Callable[[], Iterable[Rows]]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Runs the prefix over a set of pictures, or finds what it gave.

        Args:
            pictures: Identifies the pictures and labels; "" if nothing is to be kept of them.
            count: Number of pictures N.
            about: One line for people.
            batches: Gives the pictures in any order: their rows int [B], themselves [B, S, S, 3]
                and, where they are mixed, their labels [B, K], else None.

        Returns:
            The activations [N, ...] in the dtype of the boundary, and the labels float32 [N, K]
            or None.
        """

        def build(folder: Path) -> None:
            self._compute(folder, count, batches())

        if not pictures:
            with scratch("activations") as folder:
                build(folder)
                return self._read(folder)
        key = hashlib.sha256(f"{self.key} {pictures}".encode()).hexdigest()
        return cached("activations", key, about, build, self._read)

    def _compute(self, folder: Path, count: int, batches: Iterable[Rows]) -> None:
        shape = (count, *self._model.output_shape[1:])
        with _RowsFile(folder / _ACTIVATIONS, shape, self.dtype) as file:
            labels: dict[int, np.ndarray] = {}
            for rows, values, mixed in self._outputs(batches):
                file.write(rows, values)
                labels |= {} if mixed is None else dict(zip(rows, mixed, strict=True))
        if labels:
            np.save(folder / _LABELS, [labels[row] for row in range(count)])

    def _outputs(self, batches: Iterable[Rows]) -> Iterator[Rows]:
        def run(rows: np.ndarray, pictures: np.ndarray, mixed: np.ndarray | None) -> Rows:
            return rows, self._forward(pictures, BATCH_SIZE), mixed

        calls = runtime.concurrent_calls()
        workers = Parallel(calls, prefer="threads", return_as="generator", pre_dispatch=calls)
        yield from workers(delayed(run)(*batch) for batch in batches)

    def _read(self, folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
        file, labels = folder / _ACTIVATIONS, folder / _LABELS
        mapped = file.stat().st_size > IN_MEMORY_BYTES
        activations = np.load(file, mmap_mode="r" if mapped else None)
        return activations.view(self.dtype), np.load(labels) if labels.exists() else None


class _RowsFile:
    """An .npy file whose rows are written in any order, without a page of it staying mapped."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        self._offset, self._row_bytes = array.offset, array.strides[0]
        self._dtype = dtype
        self._file = path.open("r+b")

    def __enter__(self) -> "_RowsFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        for row, value in zip(rows, values.astype(self._dtype), strict=True):
            self._file.seek(self._offset + int(row) * self._row_bytes)
            self._file.write(value.tobytes())


def _structure(model: Any) -> str:
    """What the model computes beside its weights: its layers, and the code of those of plugins."""
    foreign = {
        type(operation)
        for operation in model.operations
        if not type(operation).__module__.startswith("keras.")
    }
    code = sorted(inspect.getsource(cls) for cls in foreign)
    config = model.get_config() | {"name": ""}  # Keras numbers its models
    return json.dumps(config, sort_keys=True, default=str) + "".join(code)
