"""What the hosts of a sweep's workers must share: databases, and the files that trials use."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.hookspecs import Engine
from kerascnn.runtime.address import sqlite_file, tracking_uri
from kerascnn.runtime.text import counted

_SERVERS = "postgresql://… or mysql://…"


@dataclass(frozen=True)
class Shared:
    """What every worker must find.

    Args:
        host: The name of the host that has the databases, if they are files; else "".
        paths: Absolute paths of files and folders.
    """

    host: str = ""
    paths: tuple[Path, ...] = ()

    def obstacle(self) -> str:
        """Why a worker in this process cannot take part, and what to do; "" if it can."""
        here = socket.gethostname()
        if self.host not in ("", here):
            return f"{here} and {self.host} {_cannot_share(True, False)}"
        if lacking := [path for path in self.paths if not path.exists()]:
            return (
                f"{here} does not have {lacking[0]}: the working directory, the folder of runs and "
                "the data must be on a disk that all hosts share, under the same path."
            )
        return ""


def shared_by(experiment: BoundExperiment, folder: Path, address: str) -> Shared:
    """What the workers of a sweep must find; where another host leads it, `folder` may not exist.

    Args:
        address: Of the storage.
    """
    places = [Path.cwd(), folder, *_files_of(experiment)]
    found = [place.absolute() for place in places if place.exists()]
    host = socket.gethostname() if sqlite_file(address) else ""
    return Shared(host, tuple(dict.fromkeys(found)))


def check_databases(engine: Engine, storage: str | None) -> None:
    """Raises InputError if several hosts would write to one SQLite file."""
    state = storage is None or sqlite_file(storage) is not None
    runs = sqlite_file(tracking_uri()) is not None
    if engine.hosts > 1 and (state or runs):
        raise InputError(f"{counted(engine.hosts, 'host')} {_cannot_share(state, runs)}")


def _cannot_share(state: bool, runs: bool) -> str:
    """The end of a message on SQLite files, with what to do about each."""
    files = [("the sweep's trials", state), ("the runs of MLflow", runs)]
    remedies = [
        (f"give --storage {_SERVERS}", state),
        (f"set MLFLOW_TRACKING_URI to http://…, {_SERVERS}", runs),
    ]
    what, do = (" and ".join(text for text, lacks in part if lacks) for part in (files, remedies))
    return f"cannot share a SQLite file, which has {what}: {do}."


def _files_of(experiment: BoundExperiment) -> Iterator[Path]:
    """The files and folders that parameters of the experiment's components name."""
    for bound in experiment.components():
        for value in dict(bound.params).values():
            every = value if isinstance(value, list | tuple) else [value]
            yield from (one.expanduser() for one in every if isinstance(one, Path))
