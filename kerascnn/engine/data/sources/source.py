"""Sources of images: the files of a folder, some images of a source, and several sources."""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

from kerascnn.engine.data.sources.files import ContentHash, file_content, hash_content
from kerascnn.errors import InputError
from kerascnn.hookspecs import Source

Many = Callable[[Sequence[int]], Sequence[tuple[Any, int]]]
"""Several images of a source at once."""

_PIECE = 64  # files per task of a thread: a task costs as much as hashing a small file


class Known(NamedTuple):
    """What is known of images before they are read."""

    contents: bytes  # SHA-256 of the content of each, one after the other
    labels: Sequence[int]
    files: Sequence[bool]  # whether each is the path of a file

    def at(self, rows: Sequence[int]) -> "Known":
        """The same of some of the images."""
        contents, labels, files = self
        return Known(
            b"".join(contents[32 * row : 32 * (row + 1)] for row in rows),
            [labels[row] for row in rows],
            [files[row] for row in rows],
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of contents and labels, which a source has that gives none of its own."""
        digest = hashlib.sha256()
        for row, label in enumerate(self.labels):
            content = self.contents[32 * row : 32 * (row + 1)]
            digest.update(f"{content.hex()} {label}\n".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class ImageFiles:
    """A source of paths, which are read by whoever it gives them to."""

    paths: Sequence[Path]
    labels: Sequence[int]  # the class index of each
    fingerprint: str  # SHA-256 of the names, contents and labels, in order
    folder: Path  # which contains the files
    follow_links: bool = False  # out of the folder; else each is an error
    known: Known | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> tuple[Path, int]:
        path = self.paths[index]
        if not self.follow_links and path.is_symlink() and leads_out(path, self.folder):
            raise InputError(
                f'"{path}" is a link that leads out of "{self.folder}", which is followed only '
                "with `follow_links = true` (--set dataset.follow_links=true; for init, "
                "--follow-links)"
            )
        return path, self.labels[index]


def image_files(
    folder: Path,
    images: Sequence[tuple[Path, int]],
    *,
    follow_links: bool = False,
    hashes: Mapping[Path, ContentHash] | None = None,
) -> ImageFiles:
    """Makes a source of image files, with a fingerprint of their names, contents and labels.

    Args:
        folder: Contains the files; an absolute path without links, as `Path.resolve` gives it.
        images: The path of each file, below the folder, and the index of its class.
        follow_links: Whether links to files outside of the folder are followed; by default each is
            an `InputError` when its image is used. The message advises to set the dataset's
            parameter `follow_links`.
        hashes: From `hash_files`; default they are computed.

    Returns:
        A source: `source[i]` is a path and a label.
    """
    paths, labels = [path for path, _ in images], [label for _, label in images]
    hashes = hash_files(paths, folder, follow_links) if hashes is None else hashes
    digest = hashlib.sha256()
    for path, label in images:
        name = os.fsencode(path.relative_to(folder).as_posix())  # which may not be UTF-8
        digest.update(name + f"\0{hashes[path].whole}\0{label}\n".encode())
    known = Known(whole_of(map(hashes.__getitem__, paths)), labels, [True] * len(paths))
    return ImageFiles(paths, labels, digest.hexdigest(), folder, follow_links, known)


def whole_of(hashes: Iterable[ContentHash]) -> bytes:
    """The SHA-256 of whole images, as `Known.contents` has them."""
    return bytes.fromhex("".join(own.whole for own in hashes))


def hash_files(paths: Iterable[Path], folder: Path, follow_links: bool) -> dict[Path, ContentHash]:
    """The hashes of each file; of its name if it cannot be read, which is reported later."""
    from concurrent.futures import ThreadPoolExecutor

    def hashes(piece: Sequence[Path]) -> list[ContentHash]:
        return [_hash_file(path, folder, follow_links) for path in piece]

    paths = list(paths)
    pieces = [paths[first : first + _PIECE] for first in range(0, len(paths), _PIECE)]
    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, chain.from_iterable(pool.map(hashes, pieces)), strict=True))


def _hash_file(path: Path, folder: Path, follow_links: bool) -> ContentHash:
    name = b"unreadable " + os.fsencode(path)
    outside = not follow_links and path.is_symlink() and leads_out(path, folder)
    return hash_content(name if outside else file_content(path, name))


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path, which need not exist, leads out of a folder, through links too.

    Args:
        folder: An absolute path without links, as `Path.resolve` gives it.
    """
    return not Path(os.path.realpath(path)).is_relative_to(folder)


@dataclass(frozen=True)
class Subset:
    """Some images of a source, in the order of `rows`."""

    source: Source
    rows: Sequence[int]  # their indices in it
    fingerprint: str | None = None  # default none: then kerascnn hashes the images
    known: Known | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        return self.source[int(self.rows[index])]

    @property
    def __getitems__(self) -> Many:
        """As the source offers it, or not."""
        many = self.source.__getitems__  # type: ignore[attr-defined]
        return lambda indices: many([int(self.rows[index]) for index in indices])

    @property
    def files(self) -> list[int]:
        """The same, of the images here."""
        ends = list(accumulate(self.source.files))  # type: ignore[attr-defined]
        numbers = (bisect_right(ends, row) for row in self.rows)
        return [len(list(run)) for _, run in groupby(numbers)]

    @property
    def image_name(self) -> Callable[[int], str]:
        """The same."""
        name = self.source.image_name  # type: ignore[attr-defined]
        return lambda index: name(int(self.rows[index]))


@dataclass(frozen=True)
class Relabelled:
    """The images of a source under other labels."""

    source: Source
    labels: Sequence[int]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        return self.source[index][0], self.labels[index]

    @cached_property
    def fingerprint(self) -> str | None:
        """That of the source and the labels; None if the source has none."""
        own = getattr(self.source, "fingerprint", None)
        text = f"{own} {','.join(map(str, self.labels))}"
        return hashlib.sha256(text.encode()).hexdigest() if own else None

    @cached_property
    def known(self) -> Known | None:
        known = getattr(self.source, "known", None)
        return known._replace(labels=self.labels) if isinstance(known, Known) else None


@dataclass(frozen=True)
class Chained:
    """The images of several sources, one source after the other."""

    sources: Sequence[Source]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(map(len, self.sources)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        number, row = self._place(index)
        return self.sources[number][row]

    def _place(self, index: int) -> tuple[int, int]:
        """The number of the source that an image is in, and its index there."""
        number = bisect_right(self._ends, index)
        return number, index - (self._ends[number - 1] if number else 0)

    @property
    def __getitems__(self) -> Many:
        """Where all sources offer it."""
        every = [source.__getitems__ for source in self.sources]  # type: ignore[attr-defined]

        def items(indices: Sequence[int]) -> list[tuple[Any, int]]:
            places = [self._place(index) for index in indices]
            found = dict[tuple[int, int], tuple[Any, int]]()
            for number in {number for number, _ in places}:
                rows = [row for at, row in places if at == number]
                items = zip(rows, every[number](rows), strict=True)
                found |= {(number, row): item for row, item in items}
            return [found[place] for place in places]

        return items

    @property
    def files(self) -> list[int]:
        """The same."""
        return [*chain(*[source.files for source in self.sources])]  # type: ignore[attr-defined]

    @property
    def image_name(self) -> Callable[[int], str]:
        """The same."""
        every = [source.image_name for source in self.sources]  # type: ignore[attr-defined]

        def name(index: int) -> str:
            number, row = self._place(index)
            return every[number](row)

        return name

    @cached_property
    def fingerprint(self) -> str | None:
        """That of the sources together; None, then kerascnn hashes the images, if one has none."""
        own = [getattr(source, "fingerprint", None) for source in self.sources]
        return (
            None if None in own else hashlib.sha256("\n".join(map(str, own)).encode()).hexdigest()
        )

    @cached_property
    def known(self) -> Known | None:
        every = [getattr(source, "known", None) for source in self.sources]
        if not all(isinstance(known, Known) for known in every):
            return None
        contents, labels, files = zip(*every, strict=True)
        return Known(b"".join(contents), [*chain(*labels)], [*chain(*files)])
