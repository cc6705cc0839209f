import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kerascnn_efficientnet_lite.torch_archive import read_torch_archive

from kerascnn import InputError

VALUES = np.arange(6, dtype="<f4")


def opcodes(value: Any) -> bytes:
    """The opcodes that put a value on the unpickler's stack."""
    return pickle.dumps(value, protocol=2)[2:-1]


def name(module: str, attribute: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{attribute}\n".encode()


def tensor(
    shape: Any = (2, 3), strides: Any = (3, 1), offset: Any = 0, size: Any = 6, kind: bytes = b""
) -> bytes:
    kind = kind or name("torch", "FloatStorage")
    storage = opcodes("storage") + kind + opcodes("0") + opcodes("cpu") + opcodes(size)
    arguments = (
        pickle.MARK + storage + opcodes(None) + pickle.TUPLE + pickle.BINPERSID,
        *map(opcodes, (offset, shape, strides, False)),
        name("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE,
    )
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return rebuild + pickle.MARK + b"".join(arguments) + pickle.TUPLE + pickle.REDUCE


def dictionary(value: bytes) -> bytes:
    return pickle.EMPTY_DICT + opcodes("kernel") + value + pickle.SETITEM


def archive(body: bytes) -> bytes:
    magic_number, protocol_version, platform = 0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}
    header = b"".join(pickle.dumps(v, 2) for v in (magic_number, protocol_version, platform))
    keys = pickle.dumps(["0"], 2)
    storage = (6).to_bytes(8, "little") + VALUES.tobytes()
    return header + b"\x80\x02" + body + pickle.STOP + keys + storage


def read(path: Path, content: bytes) -> dict[str, np.ndarray]:
    path.write_bytes(content)
    return read_torch_archive(path, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth"


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ({}, VALUES.reshape(2, 3)),
        ({"shape": (3, 2), "strides": (1, 3)}, VALUES.reshape(2, 3).T),
        ({"shape": (2,), "strides": (2,), "offset": 3}, VALUES[3::2]),
        ({"shape": (), "strides": (), "offset": 5}, VALUES[5]),
    ],
)
def test_shape_strides_and_offset_are_honoured(
    file: Path, layout: dict[str, Any], expected: np.ndarray
) -> None:
    array = read(file, archive(dictionary(tensor(**layout))))["kernel"]
    np.testing.assert_array_equal(array, expected, strict=True)


def test_agrees_with_pytorch_on_what_pytorch_writes(file: Path) -> None:
    torch = pytest.importorskip("torch")
    matrix = torch.arange(12.0).reshape(3, 4)
    dtypes = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
    state = {dtype: (torch.arange(5) % 2).to(getattr(torch, dtype)) for dtype in dtypes}
    state |= {"whole": matrix, "transposed": matrix.T, "part": matrix[1:, ::2]}  # one storage
    state |= {"scalar": torch.tensor(3.0), "empty": torch.zeros(0, 2)}
    torch.save(state, file, _use_new_zipfile_serialization=False)
    arrays = read(file, file.read_bytes())
    assert list(arrays) == list(state)
    for key, expected in state.items():
        np.testing.assert_array_equal(arrays[key], expected.numpy(), strict=True)


def test_every_truncated_file_is_refused(file: Path) -> None:
    content = archive(dictionary(tensor()))
    for length in range(len(content)):
        with pytest.raises(InputError, match="expected a legacy PyTorch file"):
            read(file, content[:length])


def test_a_damaged_file_gives_arrays_or_an_input_error(file: Path) -> None:
    content, refused = archive(dictionary(tensor())), 0
    rng = np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        try:
            assert all(isinstance(a, np.ndarray) for a in read(file, bytes(damaged)).values())
        except InputError:
            refused += 1
    assert refused > 1000


def call(module: str, attribute: str, *arguments: Any) -> bytes:
    return name(module, attribute) + opcodes(arguments) + pickle.REDUCE


MAKE_FILE = ("from pathlib import Path; Path('executed').touch()",)
HOSTILE = {
    "os.system": (call(os.system.__module__, "system", "touch executed"), r"system"),
    "exec": (call("builtins", "exec", *MAKE_FILE), r"builtins\.exec"),
    "getattr": (call("builtins", "getattr", "", "format"), r"builtins\.getattr"),
    "attribute of an allowed name": (
        name("torch._utils", "_rebuild_tensor_v2.__globals__"),
        r"__globals__",
    ),
    "other class of torch": (call("torch", "load", "other.pth"), r"torch\.load"),
    "name made on the stack": (
        opcodes("builtins") + opcodes("exec") + pickle.STACK_GLOBAL + opcodes(MAKE_FILE) + b"R",
        "STACK_GLOBAL",
    ),
    "old instance": (b"(" + opcodes(MAKE_FILE[0]) + b"ibuiltins\nexec\n", "INST"),
    "old object": (b"(" + name("builtins", "exec") + opcodes(MAKE_FILE[0]) + b"o", "OBJ"),
    "__new__": (name("pathlib", "Path") + b")" + pickle.NEWOBJ, "NEWOBJ"),
    "extension registry": (pickle.EXT1 + b"\x01", "EXT1"),
    "gigabytes of bytes": (pickle.BYTEARRAY8 + (2**40).to_bytes(8, "little"), "bytes|BYTEARRAY8"),
    "gigabytes of memo": (b"Nr\xff\xff\xff\xff", "4294967295 objects"),
    "function called wrongly": (call("torch._utils", "_rebuild_tensor_v2"), "arguments"),
    "class changed": (name("collections", "OrderedDict") + opcodes({"get": 1}) + b"b", "argument"),
    "shape past the storage": (tensor(shape=(2, 4)), "strides"),
    "huge shape": (tensor(shape=(2**40, 2**40)), "strides|too big|large"),
    "negative stride": (tensor(shape=(2,), strides=(-1,)), "strides"),
    "offset past the storage": (tensor(offset=1), "strides|small"),
    "negative offset": (tensor(offset=-1), "offset|negative|strides"),
    "huge storage": (tensor(size=2**62), "is incomplete"),
    "negative storage": (tensor(size=-1), "is incomplete"),
    "dtype of its own": (tensor(kind=opcodes("<f4")), "<f4"),
    "more than tensors": (tensor() + pickle.SETITEM + opcodes("step") + opcodes(1), "not a tensor"),
    "no tensor": (opcodes("text"), "not a tensor"),
}


@pytest.mark.parametrize(("value", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_and_nothing_runs(
    file: Path, monkeypatch: pytest.MonkeyPatch, value: bytes, message: str
) -> None:
    monkeypatch.chdir(file.parent)
    with pytest.raises(InputError, match=message):
        read(file, archive(dictionary(value)))
    assert [path.name for path in file.parent.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize("body", [opcodes([1]), opcodes({}) + pickle.POP, tensor()])
def test_only_a_dictionary_is_read(file: Path, body: bytes) -> None:
    with pytest.raises(InputError, match="expected a legacy PyTorch file"):
        read(file, archive(body))


def test_nothing_is_parsed_before_the_hash_matches(file: Path) -> None:
    file.write_bytes(archive(dictionary(tensor())))
    with pytest.raises(InputError, match=f"SHA-256 {'0' * 64} was expected"):
        read_torch_archive(file, sha256="0" * 64)


def test_a_missing_file_is_an_input_error(file: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_torch_archive(file, sha256="0" * 64)
