"""This process as one of those that train a run together on a cluster."""

import hashlib
import json
import signal
import socket
import sys
import threading
import tomllib
from dataclasses import dataclass

from kerascnn.engine.observer import Observer
from kerascnn.engine.result.run import EXPERIMENT, Result
from kerascnn.engine.training.devices.forming import is_local, join, lead, listen
from kerascnn.engine.training.devices.group import LEADER, Group, Member
from kerascnn.engine.training.devices.on_jax import abandon_processes, start_processes
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.cluster import Cluster
from kerascnn.experiment.paths import read_from
from kerascnn.hookspecs import Launched
from kerascnn.results.lookup import Kind, find_unfinished
from kerascnn.run.runner import run_in
from kerascnn.run.session import Session
from kerascnn.run.stages.checkpointer import settings_of
from kerascnn.run.stages.processes import use_loopback
from kerascnn.run.stages.rank import follow
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.interruption import SIGNALS
from kerascnn.runtime.keras_internals import abandon_torch_group


@dataclass(frozen=True)
class Asked:
    """What `run_experiment` was asked for, besides the experiment."""

    parent: str | None
    resume: str | None
    fresh: bool
    move: bool


def take_part(
    launched: Launched,
    token: str,
    experiment: BoundExperiment,
    observer: Observer,
    asked: Asked,
    *,
    prints: bool = True,
) -> Result | None:
    """Trains a run as one of several processes; the first returns its result.

    Args:
        launched: Which one this is.
        token: By which they know each other.
        observer: Receives the events in the first one.
        prints: Whether that prints why it has to be ended; what `observer` hears says so, too.
    """
    host = launched.address[0]
    if is_local(host):
        use_loopback()
    member = Member(
        launched.rank,
        launched.count,
        launched.address,
        token,
        _cluster(experiment).heartbeat_seconds,
        launched.on_host,
    )
    leads, backend = launched.rank == LEADER, select_backend(experiment.training.backend)
    if not leads and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:  # the leader decides, and ends this one
            signal.signal(number, signal.SIG_IGN)
    on_loss = (lambda: None) if backend == "jax" else abandon_torch_group
    group = lead(_listening(launched), member, on_loss) if leads else join(member, on_loss)
    group.prints = prints
    if backend == "jax":
        start_processes(group)
    if not leads:
        follow(experiment, group)
        return None
    return _lead(group, experiment, observer, asked)


def _lead(group: Group, experiment: BoundExperiment, observer: Observer, asked: Asked) -> Result:
    try:
        with Session(group) as session:
            return run_in(session, experiment, observer, **vars(asked))
    except BaseException:
        if "jax" in sys.modules:
            abandon_processes()
        raise
    finally:
        group.close()


def _listening(launched: Launched) -> socket.socket:
    try:
        return listen(*launched.address)
    except OSError as error:
        host, port = launched.address
        raise InputError(
            f"the first process cannot listen on port {port} of {host}, where the others look for "
            f"it: {error.strerror}. Have the launcher choose another port."
        ) from error


def token_of(experiment: BoundExperiment, launched: Launched) -> str:
    """By which processes of one launcher know that they train the same."""
    decides = [settings_of(experiment.resolved), launched.address, launched.count]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def begun_before(experiment: BoundExperiment) -> str | None:
    """The last run here, if it is unfinished and of the same experiment."""
    try:
        folder = find_unfinished("last", Kind.RUN)
        begun = tomllib.loads((folder / EXPERIMENT).read_text("utf-8"))
    except (InputError, OSError):
        return None
    read_from(folder, begun, experiment.registry, lambda warning: None)
    same = settings_of(begun) == settings_of(experiment.resolved)
    return str(folder) if same else None


def _cluster(experiment: BoundExperiment) -> Cluster:
    return experiment.settings.cluster or Cluster()
