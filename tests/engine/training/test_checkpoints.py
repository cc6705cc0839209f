"""Checkpoints on the disk: whole or not there, whatever ends the writing or harms the files."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kerascnn.engine.training import checkpoints
from kerascnn.engine.training.checkpoints import Checkpoints, UnreadableError

# Forks processes that write the states 1, 2, …; each dies at another of the steps that this takes
# on the disk, until one lives.
WRITER = """
import os, signal, sys
from pathlib import Path
import numpy as np
from kerascnn.engine.training import checkpoints

def step(function, half=lambda *_, **__: None):
    def stepping(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            half(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return stepping

savez, rename, rmtree = np.savez, os.rename, checkpoints.shutil.rmtree
np.savez = step(savez, lambda file, **arrays: (file.write(b"PK half"), file.flush()))
Path.write_text = step(Path.write_text, lambda path, text, _: path.write_bytes(text.encode()[:9]))
os.fsync = step(os.fsync)
os.rename = step(rename)
checkpoints.shutil.rmtree = step(rmtree)

def write(place):
    kept = checkpoints.Checkpoints(place / "checkpoints", 0)
    for number in (1, 2, 3, 4):
        kept.write({"number": number, "weights": [np.full(1000, number, "float32")]})
        os.write(os.open(place / "last", os.O_CREAT | os.O_WRONLY), str(number).encode())

status, at = -signal.SIGKILL, 0
while status == -signal.SIGKILL:
    left = at = at + 1
    place = Path(sys.argv[1], str(at))
    place.mkdir()
    if not (child := os.fork()):
        write(place)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(status)
"""


def state(number):
    return {"number": number, "weights": [np.full(1000, number, np.float32)]}


def number_of(state):
    """The number of a state that is consistent in itself; 0 without one."""
    if state is None:
        return 0
    assert (state["weights"][0] == state["number"]).all()
    return state["number"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def written(folder):
    """The states 1 to 3, of which two are kept."""
    kept = Checkpoints(folder, 0)
    for number in (1, 2, 3):
        kept.write(state(number))
    return folder


def newest(folder):
    return max(folder.glob("[0-9]*"))


def read(folder):
    state, damaged = Checkpoints(folder, 0).read()
    return number_of(state), damaged


def test_a_state_comes_back_as_it_was(folder):
    value = {
        "none": None,
        "numbers": [1, 0.1, True, float("inf")],
        "arrays": {"a/b": np.arange(3, dtype=np.uint32), "c": [np.float16(2.5) * np.ones(())]},
        "text": "é\n",
    }
    Checkpoints(folder, 0).write(value)
    read, damaged = Checkpoints(folder, 0).read()
    assert damaged == []
    np.testing.assert_equal(read, value)
    assert read["arrays"]["a/b"].dtype == np.uint32


def test_without_one_there_is_nothing(folder):
    assert Checkpoints(folder, 0).read() == (None, [])


def test_two_are_kept_and_the_newest_is_read(written):
    assert len(list(written.iterdir())) == 2
    assert read(written) == (3, [])


def test_a_kill_at_every_write_fsync_and_rename_leaves_the_last_whole_one(tmp_path):
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=True)
    killed = sorted(tmp_path.iterdir(), key=lambda place: int(place.name))[:-1]
    assert len(killed) > 40
    for place in killed:
        last = int((place / "last").read_text()) if (place / "last").exists() else 0
        found, damaged = read(place / "checkpoints")
        assert damaged == [], place
        assert last <= found <= last + 1, place
        Checkpoints(place / "checkpoints", 0).write(state(9))
        assert read(place / "checkpoints") == (9, []), place
        assert len(list((place / "checkpoints").iterdir())) <= 2, place


@pytest.mark.parametrize("name", ["state.json", "arrays.npz", "manifest.json"])
def test_a_deleted_file_is_noticed_and_the_one_before_is_taken(written, name):
    (newest(written) / name).unlink()
    number, [fault] = read(written)
    assert number == 2
    assert "000003 is damaged" in fault
    assert read(written) == (2, [])  # it is told once


def test_truncation_and_flipped_bytes_are_noticed_anywhere(written):
    rng = np.random.default_rng(0)
    files = sorted(newest(written).iterdir())
    contents = {file: file.read_bytes() for file in files}

    def noticed(file, content):
        file.write_bytes(content)
        with pytest.raises((checkpoints.DamagedError, UnreadableError, OSError)):
            checkpoints.read_state(file.parent)
        file.write_bytes(contents[file])

    for number in range(120):
        file = files[number % len(files)]
        content, at = bytearray(contents[file]), rng.integers(len(contents[file]))
        noticed(file, content[:at])
        content[at] ^= 1 << rng.integers(8)
        noticed(file, content)
    assert read(written) == (3, [])


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EIO, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("name", ["state.json", "arrays.npz", "manifest.json", "checkpoints"])
def test_a_passing_fault_of_reading_removes_nothing(written, monkeypatch, error, name):
    def failing(function):
        def call(path, *arguments, **named):
            if path.name == name:
                raise OSError(error, os.strerror(error), str(path))
            return function(path, *arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for method in ("open", "iterdir"):
            patch.setattr(checkpoints.Path, method, failing(getattr(checkpoints.Path, method)))
        with pytest.raises(UnreadableError, match=f"{os.strerror(error)}.* kept"):
            Checkpoints(written, 0).read()
        if name == "checkpoints":
            with pytest.raises(OSError, match=os.strerror(error)):  # with which training goes on
                Checkpoints(written, 0).write(state(4))
    assert len(list(written.iterdir())) == 2
    assert read(written) == (3, [])


def test_a_checkpoint_of_another_format_is_refused_by_its_number_and_kept(written):
    for folder in written.iterdir():
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"format": 8', '"format": 81'))
    with pytest.raises(UnreadableError, match=r"000003 has format 81, .* reads format 8"):
        Checkpoints(written, 0).read()
    assert len(list(written.iterdir())) == 2


def test_checkpoints_are_counted_beyond_six_digits(written):
    newest(written).rename(written / "999999")
    Checkpoints(written, 0).write(state(4))
    assert {path.name for path in written.iterdir()} == {"999999", "1000000"}
    assert read(written) == (4, [])
    Checkpoints(written, 0).write(state(5))
    assert {path.name for path in written.iterdir()} == {"1000000", "1000001"}
    assert read(written) == (5, [])


def test_what_a_person_puts_beside_the_checkpoints_is_none(written):
    newest(written).rename(written / "000003 copy")
    assert read(written) == (2, [])


def test_where_none_is_whole_all_are_named(written):
    for file in written.glob("*/arrays.npz"):
        file.write_bytes(b"")
    number, damaged = read(written)
    assert number == 0
    assert [fault.split()[1] for fault in damaged] == ["000003", "000002"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_where_the_disk_fails_the_last_one_stays(written, monkeypatch, error, call):
    def failing(*_):
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(OSError, match=os.strerror(error)):
            Checkpoints(written, 0).write(state(4))
    assert read(written) == (3, [])
    Checkpoints(written, 0).write(state(4))
    assert read(written) == (4, [])


def test_nothing_is_pickled(folder):
    for value in (object(), np.array([{}], dtype=object)):
        with pytest.raises(TypeError):
            Checkpoints(folder, 0).write({"value": value})


def test_the_files_are_what_they_say(written):
    table = json.loads((newest(written) / "state.json").read_text())
    assert table["number"] == 3
    with np.load(newest(written) / "arrays.npz", allow_pickle=False) as arrays:
        assert list(arrays) == [table["weights"][0]["array"]]


class Clock:
    """Stands still, or advances by `step` seconds at each reading."""

    now = step = 0.0

    def __call__(self):
        self.now += self.step
        return self.now


def test_they_take_a_small_share_of_the_time(folder):
    clock = Clock()
    kept = Checkpoints(folder, 300, clock)
    clock.now = 2.0
    assert not kept.due(epoch_ended=True)  # 0.05 seconds, as far as is known
    clock.now = 3.0
    assert kept.due(epoch_ended=True)
    clock.step = 2.0  # seconds that writing takes
    kept.write({})
    clock.step = 0.0
    clock.now += 99
    assert not kept.due(epoch_ended=True)  # 2 seconds of 99
    clock.now += 2
    assert kept.due(epoch_ended=True)
    assert not kept.due()
    clock.now += 200
    assert kept.due()
    assert Checkpoints(folder, 0).due()
