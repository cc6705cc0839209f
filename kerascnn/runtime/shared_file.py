"""A file that several threads read at once, each at offsets of its own."""

import os
from io import FileIO
from pathlib import Path
from threading import Lock


class SharedFile(FileIO):
    """An open file; who moves its position holds the lock `position`.

    Args:
        path: An existing file.
        mode: "r" to read, "r+" to write as well.
    """

    def __init__(self, path: str | Path, mode: str = "r") -> None:
        super().__init__(path, mode)
        self.position = Lock()

    def read_at(self, offset: int, into: memoryview) -> int:
        """Fills a buffer of bytes from an offset on; returns how many there were."""
        done = 0
        while done < len(into) and (count := self._read_at(offset + done, into[done:])):
            done += count
        return done

    def bytes_at(self, offset: int, length: int) -> bytes:
        """The bytes from an offset on; fewer at the end of the file."""
        if hasattr(os, "pread") and len(whole := os.pread(self.fileno(), length, offset)) == length:
            return whole  # without a copy
        content = bytearray(length)
        return bytes(memoryview(content)[: self.read_at(offset, memoryview(content))])

    def _read_at(self, offset: int, into: memoryview) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self.fileno(), [into], offset)
        with self.position:
            self.seek(offset)
            return self.readinto(into)
