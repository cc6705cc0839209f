"""A shard, fetched in many parts at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from kerascnn_remote.place import Place, ShortError

PART_BYTES = 2**23


@dataclass(frozen=True)
class Download:
    """Writes a file of known size."""

    place: Place
    url: str
    size: int
    connections: int

    def __call__(self, path: Path, progress: Callable[[int], None]) -> None:
        lock, done = Lock(), 0
        with path.open("wb") as file:
            file.truncate(self.size)

            def take(first: int) -> None:
                nonlocal done
                part = self._part(first, min(first + PART_BYTES, self.size))
                with lock:
                    file.seek(first)
                    file.write(part)
                    done += len(part)
                    progress(done)

            pool = ThreadPoolExecutor(self.connections, thread_name_prefix="kerascnn-remote")
            try:
                for _ in pool.map(take, range(0, self.size, PART_BYTES)):
                    pass
            finally:
                pool.shutdown(cancel_futures=True)

    def _part(self, first: int, end: int) -> bytes:
        def ask(files: object) -> bytes:
            part = files.cat_file(self.url, start=first, end=end)  # type: ignore[attr-defined]
            if len(part) != end - first:
                ignored = " (it ignores ranges)" if len(part) >= self.size > end - first else ""
                raise ShortError(f"the server sent {len(part):,} bytes{ignored}")
            return part

        return self.place.asked(f"bytes {first:,} to {end:,}", self.url, ask)
