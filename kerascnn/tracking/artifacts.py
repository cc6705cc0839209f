"""A local store keeps its artifacts beside its database; when both move, its records follow.

MLflow records the artifacts of each experiment, run and model by their absolute path.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from kerascnn.runtime.address import sqlite_file
from kerascnn.runtime.text import counted

FOLDER = "mlartifacts"
LOCK_SECONDS = 5.0

_RECORDS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def artifacts_of(database: Path) -> Path:
    return database.absolute().parent / FOLDER


def follow(database: Path) -> list[Path]:
    """Corrects the recorded paths of artifacts; returns the old ones."""
    with closing(sqlite3.connect(database, timeout=LOCK_SECONDS)) as store:
        left = [place for place in _places(store) if _was_left(local_path(place), database)]
        with store:
            for place in left:
                _rewrite(store, place, artifacts_of(database).as_uri())
    return [local_path(place) for place in left]


def _was_left(path: Path, database: Path) -> bool:
    """Whether a recorded path is where the artifacts were before a move."""
    beside = artifacts_of(database)
    if path.name != FOLDER or path == beside:
        return False
    return not path.exists() or (beside.exists() and not beside.samefile(path))


def _rewrite(store: sqlite3.Connection, old: str, new: str) -> None:
    tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master")}
    for table, column in _RECORDS:
        if table not in tables:  # an older MLflow has no such table
            continue
        store.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )


def _places(store: sqlite3.Connection) -> list[str]:
    """The local artifact folders of experiments; none in a database without tables."""
    if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return []
    places = store.execute("SELECT DISTINCT artifact_location FROM experiments")
    return [place for (place,) in places if place and urlsplit(place).scheme in ("", "file")]


def local_path(place: str) -> Path:
    parts = urlsplit(place)
    return Path(url2pathname(parts.path) if parts.scheme else unquote(place))


def link_into(place: str, folder: str) -> bool:
    """Links a folder's files into a local artifact location; returns False if it is not local.

    Hard links store the content once, until both names are removed; without them, it is copied.
    """
    if urlsplit(place).scheme not in ("", "file"):
        return False
    shutil.copytree(folder, local_path(place), copy_function=_link, dirs_exist_ok=True)
    return True


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # such as on a disk without hard links
        shutil.copyfile(source, target)


def correct_records(uri: str) -> Iterator[str]:
    """Corrects the records of a local store that was moved; yields a sentence for each folder."""
    database = sqlite_file(uri)
    if not database or not os.access(database, os.W_OK):
        return
    moved = f"{database} was moved: its records of artifacts now name {artifacts_of(database)}"
    with suppress(sqlite3.Error):  # opening the database reports what is wrong with it
        for path in follow(database):
            yield f"{moved} instead of {path}."


def missing_artifacts(uri: str) -> Iterator[str]:
    """Yields a sentence for each artifact folder of a local store that is gone."""
    database = sqlite_file(uri)
    if not database or not database.is_file():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, timeout=LOCK_SECONDS)) as store:
        for place in _places(store):
            count = "SELECT count(*) FROM runs WHERE substr(artifact_uri, 1, ?) = ?"
            (runs,) = store.execute(count, (len(place), place)).fetchone()
            if runs and not local_path(place).exists():
                of = counted(runs, "run")
                yield f"the artifacts of {of} in {database} are missing: {local_path(place)}."
