"""Saves images under their right labels: FOLDER/CLASS/NAME, as `image_folder` reads them."""

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from kerascnn.engine.data.decoding.images import suffix_of
from kerascnn.engine.data.sources.source import leads_out
from kerascnn.errors import InputError
from kerascnn.runtime.files import whole_file
from kerascnn.runtime.image_files import OUTPUT, ignored_kind, mark
from kerascnn.runtime.text import is_control, nfc, visible

LONGEST_LABEL = 80  # bytes; file systems allow 255 for a name
DIGITS = 32  # of SHA-256 in a name: 128 bits
FORBIDDEN = r'/\:*?"<>|'  # in the names of folders, on Windows at least
DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)  # on Windows


@dataclass(frozen=True)
class Corrections:
    """A folder with a folder for each class; thread-safe.

    An image's name is the hash of its bytes, so that nothing is overwritten, and an image that is
    saved again under another label moves there.

    Args:
        folder: It is made with the first image.
        class_names: The classes of the run.
    """

    folder: Path
    class_names: Sequence[str]
    _saving: Lock = field(default_factory=Lock)

    def labels(self) -> list[str]:
        """The classes of the run, and those that the folder has besides."""
        there = sorted(nfc(path.name) for path in self._class_folders())
        return list(dict.fromkeys([*map(nfc, self.class_names), *there]))

    def save(self, image: bytes, label: str) -> Path:
        """Saves an image, which can be read, under a label; returns its path.

        A label that differs from a known one only in upper and lower case is the known one.

        Raises:
            InputError: The label cannot be a folder's name, or the folder cannot be written to.
        """
        with self._saving:
            place = self.folder / self._class_of(label)
            name = hashlib.sha256(image).hexdigest()[:DIGITS] + suffix_of(image)
            try:
                self._write(image, place, name)
            except OSError as error:
                raise InputError(
                    f'cannot save the image in "{place}": {error.strerror}.'
                ) from error
        return place / name

    def _write(self, image: bytes, place: Path, name: str) -> None:
        before = [path for path in self._class_folders() if (path / name).is_file()]
        try:
            place.mkdir(parents=True, exist_ok=True)
            mark(self.folder)  # in a dataset's folder it would be a class
            if leads_out(place, self.folder.resolve()):
                raise InputError(
                    f'"{place}" is a link that leads out of "{self.folder}"; remove it.'
                )
            with whole_file(place / name) as new:
                new.write_bytes(image)
            for other in set(before) - {place}:
                (other / name).unlink()
        finally:
            for empty in (place, *before):  # a class without images is an error of `image_folder`
                with suppress(OSError):
                    empty.rmdir()

    def _class_folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.is_dir() and not ignored_kind(path)]

    def _class_of(self, label: str) -> str:
        asked = nfc(label.strip())
        known = {name.casefold(): name for name in reversed(self.labels())}
        name = known.get(asked.casefold(), asked)
        left_out = name.lower() in OUTPUT or ignored_kind(self.folder / name)
        if fault := _fault(name) or ("datasets leave such folders out" if left_out else ""):
            raise InputError(
                f'the label "{visible(name)}" cannot be the name of a folder: {fault}.'
            )
        return name


def _fault(name: str) -> str:
    """Why a name cannot be that of a class's folder on every system; "" if it can."""
    if not name:
        return "it is empty"
    if len(name.encode("utf-8", "replace")) > LONGEST_LABEL:
        return f"it has more than {LONGEST_LABEL} bytes"
    if bad := [one for one in name if one in FORBIDDEN or is_control(one)]:
        return f"it contains {visible(bad[0])}"
    if name.startswith(".") or name.endswith("."):
        return "it begins or ends with a full stop"
    return "it is a device on Windows" if DEVICES.fullmatch(name) else ""
