"""The state of a sweep's trials: Optuna's database, and what it takes up of lost workers."""

import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.errors import InputError, did_you_mean
from kerascnn.runtime.address import displayed, sqlite_file
from kerascnn.runtime.commands import pip_install
from kerascnn.runtime.process import put_back
from kerascnn.runtime.redact import scrubbed

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

DATABASES = ("sqlite", "postgresql", "mysql")
HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60  # without a heartbeat, until a trial of another host is taken up
GRACE = timedelta(seconds=GRACE_SECONDS)
LOCKED_SECONDS = 60.0  # that a process waits for another one's write
ATTEMPTS = 5  # of a trial whose workers are lost, after the first
WORKER = "worker"  # an attribute of a trial: who has it
OUTCOME = "outcome"  # how it ended
SURPLUS = "surplus"  # that it began in the same moment as the last one, and did not run


def import_optuna() -> Any:
    """Optuna, which reports nothing by itself.

    Raises:
        InputError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        install = pip_install("kerascnn[sweep]")
        raise InputError(f"a sweep needs Optuna; install it with `{install}`.") from error
    put_back(optuna.logging.set_verbosity, optuna.logging.get_verbosity())
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    return optuna


def check_storage(address: str) -> None:
    """Raises InputError unless the address is that of a database whose storage has heartbeats."""
    scheme = address.partition(":")[0].partition("+")[0]
    if scheme not in DATABASES or "://" not in address or address.endswith((":///", ":memory:")):
        raise InputError(
            f"--storage {displayed(address)}: expected postgresql://… or mysql://….{_near(scheme)} "
            "Without heartbeats, as in a journal file, the trial of a killed worker is lost."
        )


def _near(scheme: str) -> str:
    return "" if scheme in DATABASES else did_you_mean(scheme, DATABASES)


@contextmanager
def _explained(address: str) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ImportError, SQLAlchemyError, sqlite3.Error, RuntimeError) as error:
        cause = error.__cause__ or error  # Optuna raises its own where a driver is missing
        said = scrubbed(str(cause)).split("\n")[0] + "."
        if isinstance(cause, ModuleNotFoundError):
            said = f"its driver is not installed; `{pip_install(str(cause.name))}` installs it."
        raise InputError(f"--storage {displayed(address)}: {said}") from error


def open_study(address: str, study: str) -> "Study":
    """Opens a study that exists.

    Raises:
        InputError: The storage cannot be used, or does not have it.
    """
    optuna = import_optuna()
    try:
        with _explained(address):
            return optuna.load_study(study_name=study, storage=_storage(address))
    except KeyError as error:
        raise InputError(f"{displayed(address)} has no sweep {study}.") from error


def create_study(address: str, study: str, greater_is_better: bool) -> "Study":
    """Creates a study, and the tables of a new database."""
    optuna = import_optuna()
    direction = "maximize" if greater_is_better else "minimize"
    with _explained(address):
        storage = _storage(address)
        return optuna.create_study(study_name=study, storage=storage, direction=direction)


def _storage(address: str) -> Any:
    from sqlalchemy import event

    optuna, file = import_optuna(), sqlite_file(address)
    storage = optuna.storages.RDBStorage(
        address,
        engine_kwargs={"creator": partial(_connect, file)} if file else {},
        heartbeat_interval=HEARTBEAT_SECONDS,
        grace_period=GRACE_SECONDS,
        heartbeat_stale_trial_callback=_retry(),
    )
    if file:
        event.listen(storage.engine, "begin", _lock)
    return storage


def _lock(connection: Any) -> None:
    """Locks an SQLite database before a transaction reads what it will change.

    Optuna selects a trial FOR UPDATE, which SQLite ignores: two workers could take the same one.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _connect(file: Path) -> sqlite3.Connection:
    """A connection that does not wait for the disk at each of a trial's fifteen writes.

    A process that is killed loses nothing; a power failure may lose the last writes.
    """
    connection = sqlite3.connect(
        file, timeout=LOCKED_SECONDS, check_same_thread=False, isolation_level=None
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _retry() -> Any:
    from optuna.storages import RetryHeartbeatStaleTrialCallback

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental in Optuna 5, as heartbeats are
        return RetryHeartbeatStaleTrialCallback(ATTEMPTS, inherit_intermediate_values=True)


def numbered(trials: Sequence["FrozenTrial"]) -> list["FrozenTrial"]:
    """The last attempt of each trial, in the order in which the trials were drawn.

    Their numbers in the sweep are their places in this list: Optuna numbers each attempt.
    """
    last: dict[int, FrozenTrial] = {}
    for trial in trials:
        if SURPLUS in trial.user_attrs:
            continue
        last[trial.system_attrs.get("failed_trial", trial.number)] = trial
    return list(last.values())


def release(study: "Study", worker: str | None) -> None:
    """Queues the trial of a lost worker again; None: of all, where no other host has any."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if worker is None or trial.user_attrs.get(WORKER) == worker:
            _requeue(study, trial)
    if worker is None:
        _queue_the_next_attempts(study, until=datetime.now())


def _requeue(study: "Study", trial: "FrozenTrial") -> None:
    """Ends an attempt as failed and queues the next one, unless another process has done so."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    with suppress(UpdateFinishedTrialError, ValueError):
        study.tell(trial.number, state=TrialState.FAIL)
        _retry()(study, trial)


def _queue_the_next_attempts(study: "Study", until: datetime) -> None:
    """Queues those that were not: a process may be killed between the two steps of `_requeue`.

    Args:
        until: Attempts that have ended later are left to the process that has ended them.
    """
    from optuna.trial import TrialState

    for trial in numbered(study.get_trials()):
        ended = trial.datetime_complete
        lost = trial.state == TrialState.FAIL and OUTCOME not in trial.user_attrs
        if lost and ended and ended <= until:
            _retry()(study, trial)  # does nothing after the last attempt


def release_silent(study: "Study") -> None:
    """Queues the trials again whose workers, on any host, give no sign of life."""
    from optuna.storages import fail_stale_trials
    from optuna.trial import TrialState

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fail_stale_trials(study)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        begun = trial.datetime_start
        if WORKER not in trial.user_attrs and begun and begun < datetime.now() - GRACE:
            _requeue(study, trial)  # lost before its first heartbeat, which Optuna overlooks
    _queue_the_next_attempts(study, until=datetime.now() - GRACE)
