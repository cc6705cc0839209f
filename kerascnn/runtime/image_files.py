"""Which files in a folder are images, and which files among them never belong to a dataset."""

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".avifs", ".heic", ".heif", ".hif"),
}

# Written by macOS, Synology and QNAP, Windows, Linux and Jupyter; in lower case.
SYSTEM = {
    *("__macosx", ".ds_store", ".appledouble", ".spotlight-v100", ".trashes", ".fseventsd"),
    *("@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),
    *("$recycle.bin", "recycler", "system volume information"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini"),
    *("lost+found", ".ipynb_checkpoints"),
}
OUTPUT = {"kerascnn-runs", "mlartifacts", "mlruns"}  # the last two are MLflow's own names
JOURNAL = "tracking.jsonl"  # in every run's folder
MARK = ".kerascnn-output"  # in other output folders
SIGNS = (JOURNAL, MARK, os.path.join("0", "meta.yaml"))  # the last in MLflow's file stores

KERASCNN_OUTPUT = "files or folders written by kerascnn or MLflow"
SOFTWARE = "kerascnn"  # in the metadata of each PNG that is drawn into a folder of the user's


def has_image_suffix(path: str | os.PathLike[str]) -> bool:
    """Whether the suffix of a file name is that of an image format."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def system_kind(name: str) -> str | None:
    """The name of a file or folder that an operating system creates; None for any other."""
    if name.startswith("._"):  # the resource forks of macOS
        return "._*"
    return name if name.lower() in SYSTEM else None


def ignored_kind(path: Path) -> str | None:
    """The kind of a file or folder that is never part of a dataset.

    Args:
        path: A file or folder found in a dataset's folder.

    Returns:
        For files that operating systems create, their name, such as ".DS_Store" or "._*"; for
        output of kerascnn or MLflow, `KERASCNN_OUTPUT`; None for everything else.
    """
    if kind := system_kind(path.name):
        return kind
    return KERASCNN_OUTPUT if _is_drawing(path) or _is_output(path) or _is_store(path) else None


def mark(folder: Path) -> None:
    """Marks a folder as output, whatever its place and name."""
    with suppress(OSError):  # it is there already, or cannot be written
        (folder / MARK).touch(exist_ok=False)


def own_metadata(file: Path) -> dict[str, str] | None:
    """What matplotlib writes into a figure, by which a PNG is recognised as `KERASCNN_OUTPUT`."""
    return {"Software": SOFTWARE} if file.suffix == ".png" else None


def _is_output(path: Path) -> bool:
    if not path.is_dir():
        return False
    return path.name in OUTPUT or any(os.path.lexists(path / sign) for sign in SIGNS)


def _is_store(path: Path) -> bool:
    """Whether it is the database of MLFLOW_TRACKING_URI, its lock or its journal."""
    database = _database(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if database is None or not path.name.startswith(database.name):
        return False
    return os.path.realpath(path.parent) == os.path.realpath(database.parent)


@cache
def _database(uri: str) -> Path | None:
    from kerascnn.runtime.address import sqlite_file

    return sqlite_file(uri)


def _is_drawing(path: Path) -> bool:
    if path.suffix != ".png" or path.is_symlink() or not path.is_file():
        return False
    with suppress(OSError), path.open("rb") as file:
        return f"Software\0{SOFTWARE}".encode() in file.read(256)
    return False
