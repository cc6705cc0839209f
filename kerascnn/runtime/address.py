"""Addresses of tracking stores: the one in use, SQLite files, and what is wrong with an address."""

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kerascnn.errors import did_you_mean
from kerascnn.runtime.redact import shown_uri

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SCHEMES = (*DATABASES, "http", "https", "databricks", "databricks-uc", "uc")
FILES = ("", "file")  # MLflow's old store, a folder of text files
ALLOW_FILES = "MLFLOW_ALLOW_FILE_STORE"


def tracking_uri() -> str:
    """The absolute address of MLFLOW_TRACKING_URI, or of MLflow's default, mlflow.db here."""
    asked = os.environ.get("MLFLOW_TRACKING_URI")
    return absolute(asked, Path.cwd()) if asked else sqlite_uri(Path.cwd() / "mlflow.db")


def sqlite_uri(path: Path, query: Mapping[str, Any] | None = None) -> str:
    from sqlalchemy.engine import URL

    url = URL.create("sqlite", database=str(path), query=query or {})
    if "%" in str(url):  # MLflow would create the folder of "sqlite:///" still quoted
        url = url.set(drivername="sqlite+pysqlite")
    return str(url)


def sqlite_file(uri: str) -> Path | None:
    """The database's file; None unless the address names a SQLite file."""
    if _scheme(uri) != "sqlite":
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except ArgumentError:
        return None
    in_memory = url.database in (None, "", ":memory:") or "uri" in url.query
    return None if in_memory or url.host else Path(str(url.database))


def absolute(uri: str, folder: Path) -> str:
    """The address, with the path of a SQLite database relative to a folder made absolute."""
    return _with_path(uri, lambda path: folder / path)


def relative(uri: str, folder: Path) -> str:
    """The address, with the path of a SQLite database inside a folder made relative to it."""
    return _with_path(
        uri, lambda path: path.relative_to(folder) if path.is_relative_to(folder) else path
    )


def _with_path(uri: str, change: Any) -> str:
    from sqlalchemy.engine import make_url

    path = sqlite_file(uri)
    return uri if path is None else sqlite_uri(change(path), make_url(uri).query)


def found_again(uri: str, project: Path) -> str:
    """What an address stored in a project means now that the project may have moved."""

    def found(path: Path) -> Path:
        path = project / path
        beside = project / path.name
        return beside if beside.exists() and not path.parent.exists() else path

    return _with_path(uri, found)


def displayed(uri: str) -> str:
    """An address as messages show it: the path of a SQLite database, or it without secrets."""
    return str(sqlite_file(uri) or shown_uri(uri))


def is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def address_fault(uri: str) -> str | None:
    """Why this cannot be the address of a store, and what to do; None if it can."""
    scheme = _scheme(uri)
    if scheme in FILES:
        if os.environ.get(ALLOW_FILES, "").lower() in ("true", "1"):
            return None
        return (
            f'"{uri}" is a folder, and MLflow no longer tracks to folders. Unset '
            "MLFLOW_TRACKING_URI to use mlflow.db; `mlflow migrate-filestore` moves old runs into "
            f"a database, and {ALLOW_FILES}=true allows the folder again."
        )
    if scheme == "sqlite" and urlsplit(uri).netloc:
        return f'"{uri}": a SQLite address starts with three slashes: sqlite:///PATH.'
    added = entry_points(group="mlflow.tracking_store").names
    if scheme in (*SCHEMES, *added):
        return None
    return (
        f'"{shown_uri(uri)}": MLflow has no store for "{scheme}".{did_you_mean(scheme, SCHEMES)} '
        f"Expected one of {', '.join((*SCHEMES, *added))}."
    )


def _scheme(uri: str) -> str:
    scheme = uri if uri in SCHEMES else urlsplit(uri).scheme.partition("+")[0]
    return scheme if len(scheme) > 1 else ""  # one letter is a Windows drive
