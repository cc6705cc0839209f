"""A file that several threads read at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from kerascnn.runtime import shared_file
from kerascnn.runtime.shared_file import SharedFile


@pytest.mark.parametrize("by_position", [False, True], ids=["by offset", "as on Windows"])
def test_threads_read_at_offsets_of_their_own(tmp_path, monkeypatch, by_position):
    if by_position:
        monkeypatch.delattr(shared_file.os, "preadv", raising=False)
        monkeypatch.delattr(shared_file.os, "pread", raising=False)
    content = bytes(range(256)) * 40
    (tmp_path / "a").write_bytes(content)
    offsets = [(131 * n) % len(content) for n in range(400)]
    with SharedFile(tmp_path / "a") as file, ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda offset: file.bytes_at(offset, 60), offsets))
    assert read == [content[offset : offset + 60] for offset in offsets]  # shorter at the end
