"""A hostile or damaged archive leaves nothing."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from kerascnn import InputError
from kerascnn.engine.data.sources import archives


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def archive(folder: Path, *members: tarfile.TarInfo | str) -> Path:
    """A .tgz of empty members, and of files of their own name as content."""
    path = folder / "a.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, str):
                content = member.encode()
                member = tarfile.TarInfo(member)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                tar.addfile(member)
    return path


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        "/tmp/absolute",
        "../outside",
        "deep/../../outside",
        "C:\\windows",
        "..\\outside",
        entry("link", tarfile.SYMTYPE, "/etc/passwd"),
        entry("inner", tarfile.SYMTYPE, "good"),
        entry("hard", tarfile.LNKTYPE, "good"),
        entry("device", tarfile.CHRTYPE),
        entry("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: member if isinstance(member, str) else member.name,
)
def test_a_hostile_archive_leaves_nothing(tmp_path, member):
    with pytest.raises(InputError, match=r"leads out of the folder|is a link or a device"):
        archives.extract(archive(tmp_path, "good", member), tmp_path / "out")
    assert files(tmp_path) == ["a.tgz"]


@pytest.mark.parametrize("limit", ["MAX_UNPACKED_BYTES", "MAX_UNPACKED_FILES"])
def test_an_archive_may_not_burst(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(archives, limit, 2)
    with pytest.raises(InputError, match="unpacks to more than"):
        archives.extract(archive(tmp_path, "a", "b", "c"), tmp_path / "out")
    assert files(tmp_path) == ["a.tgz"]


@pytest.mark.parametrize(
    "damage", [lambda x: x[:-30], lambda x: b"no tar", lambda x: x[:20] + b"?"]
)
def test_a_damaged_archive_leaves_nothing(tmp_path, damage):
    path = archive(tmp_path, "a", "b")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r'cannot unpack ".*a\.tgz"'):
        archives.extract(path, tmp_path / "out")
    assert files(tmp_path) == ["a.tgz"]


def test_a_zip_is_no_archive_that_is_unpacked(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("../outside", "x")
    with pytest.raises(InputError, match=r'cannot unpack ".*a\.zip"'):
        archives.extract(path, tmp_path / "out")
    assert files(tmp_path) == ["a.zip"]


def test_an_archive_that_claims_less_than_it_holds_does_not_burst(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 2**20)
    bomb = tarfile.TarInfo("zeros")
    bomb.size = 2**30
    path = tmp_path / "a.tgz"
    with tarfile.open(path, "w:gz") as tar:
        tar.fileobj.write(bomb.tobuf())  # the content would follow
        tar.offset += 512
    with pytest.raises(InputError, match="unpacks to more than"):
        archives.extract(path, tmp_path / "out")
    assert files(tmp_path) == ["a.tgz"]
