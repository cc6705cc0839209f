"""A local store's artifacts lie beside its database, and its records follow when both are moved.

MLflow writes down where each experiment, run and model has its artifacts, as an absolute path.
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

_PLACES = "SELECT DISTINCT artifact_location FROM experiments"
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
    """Makes the records say where the artifacts are; returns the places that they said."""
    with closing(sqlite3.connect(database, timeout=LOCK_SECONDS)) as store:
        left = [place for place in _places(store) if _was_left(local_path(place), database)]
        with store:
            for place in left:
                _rewrite(store, place, artifacts_of(database).as_uri())
    return [local_path(place) for place in left]


def _was_left(path: Path, database: Path) -> bool:
    """Whether a place is beside the database only as it was before a move."""
    beside = artifacts_of(database)
    if path.name != FOLDER or path == beside:
        return False
    return not path.exists() or (beside.exists() and not beside.samefile(path))


def _rewrite(store: sqlite3.Connection, old: str, new: str) -> None:
    tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master")}
    for table, column in _RECORDS:
        if table not in tables:  # of an older MLflow
            continue
        store.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )


def _places(store: sqlite3.Connection) -> list[str]:
    """The local places of experiments; none in a database that is still without tables."""
    if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return []
    places = [place for (place,) in store.execute(_PLACES) if place]
    return [place for place in places if urlsplit(place).scheme in ("", "file")]


def local_path(place: str) -> Path:
    """The path that MLflow makes of a place."""
    parts = urlsplit(place)
    return Path(url2pathname(parts.path) if parts.scheme else unquote(place))


def link_into(place: str, folder: str) -> bool:
    """Puts a folder's files into a local place of a store; False if the place is elsewhere.

    They are hard links where the disk has these: the content is there once, and stays until both
    names are removed.
    """
    if urlsplit(place).scheme not in ("", "file"):
        return False
    shutil.copytree(folder, local_path(place), copy_function=_link, dirs_exist_ok=True)
    return True


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # such as of a disk without links
        shutil.copyfile(source, target)


def told_moved(uri: str) -> Iterator[str]:
    """Mends the records of a local store that was moved; says what they said."""
    database = sqlite_file(uri)
    if not database or not os.access(database, os.W_OK):
        return
    with suppress(sqlite3.Error):  # what is wrong with the database is told by who opens it
        for path in follow(database):
            yield (
                f"{database} was moved: its artifacts, recorded in {path}, are now looked for and "
                f"kept in {artifacts_of(database)}."
            )


def told_missing(uri: str) -> Iterator[str]:
    """The folders of artifacts that runs of a local store had, and that are gone."""
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
