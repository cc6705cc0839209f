"""Reads PyTorch's legacy files of tensors without PyTorch, and without executing them.

The format, which `torch.save` wrote before version 1.6, is five pickles (a magic number, a
protocol number, the writer's platform, the object with its tensors' storages left out, the keys
of the storages) and then each storage: its number of elements (int64), its raw elements.
"""

import hashlib
import io
import pickle
import pickletools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerascnn import InputError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
MAX_OBJECTS = 1_000_000  # in one pickle; a network has thousands
STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}
# All opcodes of dictionaries of tensors. Only REDUCE calls anything, and only what `find_class`
# below returns.
OPCODES = """
    PROTO STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINUNICODE
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS
    BINPUT LONG_BINPUT BINGET LONG_BINGET BINPERSID GLOBAL REDUCE BUILD
""".split()  # noqa: SIM905


def read_torch_archive(path: str | Path, *, sha256: str) -> dict[str, np.ndarray]:
    """Reads a state dictionary from a legacy PyTorch file with a known hash.

    Args:
        path: The file.
        sha256: Hash of the file, lower-case hexadecimal; nothing is parsed unless it matches.

    Returns:
        Names to read-only arrays, in the file's order and with its shapes, dtypes and strides.

    Raises:
        InputError: The file is missing, has another hash, is truncated, or has more than tensors.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the file of weights: {error}") from error
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise InputError(
            f"{path}: not the expected file of weights: SHA-256 {sha256} was expected, "
            f"{found} found. Install its package again."
        )
    try:
        return _parse(content)
    except Exception as error:  # unpickling may raise anything
        raise InputError(
            f"{path}: expected a legacy PyTorch file with a dictionary of tensors: {error}"
        ) from error


class _Storage(NamedTuple):
    key: str
    dtype: str
    size: int  # elements


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int  # elements, as the strides
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Dictionary(dict):
    def __setstate__(self, state: Any) -> None:
        """Drops the attributes of PyTorch's dictionaries: the versions of the modules."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGE_DTYPES:
            return name
        if (module, name) == ("collections", "OrderedDict"):
            return _Dictionary
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new one for each file: BUILD could set the attributes of a shared function.
            return lambda storage, offset, shape, strides, *_: _Tensor(
                storage, offset, shape, strides
            )
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not part of a tensor")

    def persistent_load(self, identifier: Any) -> _Storage:
        kind, storage_type, key, _device, size, view = identifier
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError("it refers to something other than a storage")
        return _Storage(key, STORAGE_DTYPES[storage_type], size)


def _parse(content: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(content)
    if _load_pickle(stream) != MAGIC_NUMBER or _load_pickle(stream) != PROTOCOL_VERSION:
        raise ValueError("wrong magic number or protocol number")
    _load_pickle(stream)  # the writer's platform; the storages are little-endian on all of them
    tensors, keys = _load_pickle(stream), _load_pickle(stream)
    if not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
        raise ValueError("a value of its dictionary is not a tensor")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    buffers = _slice_storages(content, stream.tell(), [storages[key] for key in keys])
    return {name: _to_array(tensor, buffers) for name, tensor in tensors.items()}


def _load_pickle(stream: io.BytesIO) -> Any:
    """Loads one pickle after checking that all of its opcodes are harmless."""
    start = stream.tell()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name not in OPCODES:
            raise pickle.UnpicklingError(f"the opcode {opcode.name} is not part of a tensor")
        if opcode.name == "LONG_BINPUT" and (argument or 0) >= MAX_OBJECTS:
            raise pickle.UnpicklingError(f"it requests memory for {argument} objects")
    stream.seek(start)
    return _Unpickler(stream).load()


def _slice_storages(content: bytes, start: int, order: list[_Storage]) -> dict[str, memoryview]:
    """Finds the bytes of each storage; they are consecutive from `start`."""
    buffers = {}
    for storage in order:
        size = int.from_bytes(content[start : start + 8], "little")
        start, end = start + 8, start + 8 + size * np.dtype(storage.dtype).itemsize
        if size != storage.size or end > len(content):
            raise ValueError(f"{storage} is incomplete")
        buffers[storage.key] = memoryview(content)[start:end]
        start = end
    return buffers


def _to_array(tensor: _Tensor, buffers: dict[str, memoryview]) -> np.ndarray:
    """A view of a tensor's bytes; NumPy rejects shapes, offsets or strides outside of them."""
    dtype = np.dtype(tensor.storage.dtype)
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    buffer = buffers[tensor.storage.key]
    return np.ndarray(tensor.shape, dtype, buffer, tensor.offset * dtype.itemsize, strides)
