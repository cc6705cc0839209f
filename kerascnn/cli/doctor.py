"""What `doctor` examines: versions, devices, folders, stores and plugins."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.data.decoding.formats import heic_version, install_heic
from kerascnn.errors import InputError
from kerascnn.results.canvas import lacking
from kerascnn.results.folders import RunFolder, list_runs
from kerascnn.results.lookup import runs_folder
from kerascnn.run.stages.checkpointer import CHECKPOINTS
from kerascnn.runtime.address import displayed, sqlite_file, tracking_uri
from kerascnn.runtime.backend import installed_backends, start_backend
from kerascnn.runtime.cache import cache_folder, limit_bytes
from kerascnn.runtime.commands import command
from kerascnn.runtime.devices import available_cores, device_count, device_name
from kerascnn.runtime.files import GB, gigabytes
from kerascnn.runtime.image_files import has_image_suffix, ignored_kind
from kerascnn.runtime.text import code, counted
from kerascnn.runtime.versions import installed_versions
from kerascnn.tracking.artifacts import correct_records, missing_artifacts
from kerascnn.tracking.entries import deleted_experiments
from kerascnn.tracking.store import RefusingStoreError, TrackingError, reach
from kerascnn.tracking.tracker import check_writable

LEAST_FREE_BYTES = 2 * GB
CJK = "中あ한"  # one character of each script
LOOKED_AT = 100  # entries of a folder that are examined to find out whether it holds images
FILE_STORE = "mlruns"  # the folder of MLflow's old file store


def examine() -> dict[str, Any]:
    """Examines this installation and the working directory.

    Returns:
        The findings by name; `problems`, one sentence for each that needs fixing; and `notes`, one
        for each that is harmless.
    """
    runs, registry = list_runs(), load_registry()
    problems = [*_locale(), *_working_folder(), *_refused(runs)]
    notes = list(
        correct_records(tracking_uri())
    )  # before the store is opened, which also repairs it
    return {
        "versions": installed_versions(),
        "backends": installed_backends(),
        "device": _device(problems),
        "cores": available_cores(),
        "cache": _cache(problems),
        "tracking": _tracking(runs, problems),
        "plugins": _plugins(registry, problems),
        "problems": problems,
        "notes": [
            *notes,
            *_kept(runs),
            *_unfinished(runs),
            *_file_store(),
            *_among_images(),
            *_lacking(),
            *_unloaded(registry),
        ],
    }


def _locale() -> Iterator[str]:
    encoding = sys.getfilesystemencoding()
    if not _is_utf8(encoding):
        yield (
            f"the locale decodes file names as {encoding}, so folders whose names have other "
            "characters cannot be classes. Set PYTHONUTF8=1, or a UTF-8 locale: LC_ALL=C.UTF-8."
        )


def _is_utf8(encoding: str) -> bool:
    return encoding.lower() in ("utf-8", "utf8")


def _working_folder() -> Iterator[str]:
    try:
        check_writable(runs_folder())
    except InputError as error:
        yield str(error)
    yield from _nearly_full(Path.cwd())


def _nearly_full(folder: Path) -> Iterator[str]:
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        yield f"the disk of {folder} has only {gigabytes(free)} left; free some space."


def _refused(runs: list[RunFolder]) -> Iterator[str]:
    """Runs that their store refuses until something is fixed."""
    for (store, fault), kept in Counter(
        (run.store, run.fault) for run in runs if _is_kept(run) and run.refusing
    ).items():
        yield (
            f"{counted(kept, 'run')} cannot be uploaded to {store}: {fault} Then upload them with "
            f"`{command('runs', 'send')}`."
        )


def _kept(runs: list[RunFolder]) -> Iterator[str]:
    """Runs that are uploaded automatically once their store accepts them."""
    stores = Counter(run.store for run in runs if _is_kept(run) and not run.refusing)
    faults = {run.store: f" Last attempt: {run.fault}" for run in runs if run.fault}
    for store, kept in stores.items():
        elsewhere = command("runs", "send", "--to", "ADDRESS")
        yield (
            f"{counted(kept, 'run')} not yet uploaded to {store}: the next run uploads them, as "
            f"does `{command('runs', 'send')}`; `{elsewhere}` uploads them to another store."
            f"{faults.get(store, '')}"
        )


def _is_kept(run: RunFolder) -> bool:
    return run.unsent > 0 and run.status != "running"


def _unfinished(runs: list[RunFolder]) -> Iterator[str]:
    found = [
        run
        for run in runs
        if run.status in ("interrupted", "failed") and Path(run.folder, CHECKPOINTS).is_dir()
    ]
    if found:
        last = found[-1]
        yield (
            f"{counted(len(found), 'unfinished run')} can be resumed, the last one "
            f"({last.experiment}) with `{command('run', '--resume', last.run_id[:8])}`; "
            f"`{command('runs', 'list')}` lists all."
        )


def _device(problems: list[str]) -> str:
    try:
        backend = start_backend()
        several = f"; training.devices up to {count}" if (count := device_count()) > 1 else ""
        return f"{backend} on {device_name()}{several}"
    except InputError as error:
        problems.append(str(error))
    except Exception as error:  # a broken backend may raise anything on import
        problems.append(f"the backend cannot be loaded: {type(error).__name__}: {error}")
    return "none"


def _cache(problems: list[str]) -> str:
    try:
        folder = cache_folder()
        limit_bytes()
    except InputError as error:
        problems.append(str(error))
        return "none"
    if not os.access(folder, os.W_OK):
        problems.append(
            f"the cache folder {folder} is not writable. Change its permissions, or set "
            "KERASCNN_CACHE to another folder."
        )
    if folder.stat().st_dev != Path.cwd().stat().st_dev:
        problems += _nearly_full(folder)
    return f"{folder} ({gigabytes(shutil.disk_usage(folder).free)} free)"


def _tracking(runs: list[RunFolder], problems: list[str]) -> str:
    uri = tracking_uri()
    store, database = displayed(uri), sqlite_file(uri)
    names = {run.experiment for run in runs if run.store == store}
    try:
        reach(uri)
        if names and (database is None or database.exists()):
            known = " ".join(problems)  # runs may be refused for the same reason
            problems += [said for said in deleted_experiments(uri, names) if said not in known]
    except TrackingError as error:
        passes = not isinstance(error, RefusingStoreError)
        later = " This may be temporary: runs continue and are uploaded later." if passes else ""
        problems.append(f"the tracking store cannot be used: {error}{later}")
        return f"{store} (unusable)"
    problems += missing_artifacts(uri)
    return store


def _plugins(registry: Registry, problems: list[str]) -> str:
    problems += [f"plugin of {fault.origin}: {fault.reason}" for fault in registry.faults]
    problems += registry.conflicts()
    packages = dict.fromkeys(str(registered.origin) for registered in registry.unique)
    return f"{len(registry.claims)} components from {', '.join(packages)}"


def _unloaded(registry: Registry) -> Iterator[str]:
    yield from (f"plugin of {slow.origin}: {slow}" for slow in registry.slow)
    if registry.not_allowed:
        names = ", ".join(dict.fromkeys(map(str, registry.not_allowed)))
        yield f"not loaded, because KERASCNN_ALLOW_PLUGINS does not list them: {names}."


def _file_store() -> Iterator[str]:
    """MLflow's own commands prefer its old store if there is one."""
    if "MLFLOW_TRACKING_URI" not in os.environ and any(Path(FILE_STORE).glob("[0-9]*/meta.yaml")):
        yield (
            f"{FILE_STORE} holds runs in MLflow's old file store, which MLflow's own commands show "
            f"instead of mlflow.db, the store of kerascnn. Use `{command('ui')}`, or move "
            f"{FILE_STORE} away. `mlflow migrate-filestore --source . --target "
            "sqlite:///migrated.db` copies the runs into a database."
        )


def _among_images() -> Iterator[str]:
    """Warns if the working directory looks like a dataset."""
    folders = (path for path in islice(Path.cwd().iterdir(), LOOKED_AT) if not ignored_kind(path))
    if sum(map(_holds_images, folders)) > 1:
        yield (
            f"{Path.cwd()} looks like a folder of class folders, and runs started here are written "
            "into it. They are never read as images, but to keep them apart, start runs in another "
            "folder."
        )


def _holds_images(path: Path) -> bool:
    return (
        path.is_dir()
        and os.access(path, os.R_OK)
        and any(map(has_image_suffix, islice(path.iterdir(), LOOKED_AT)))
    )


def _lacking() -> Iterator[str]:
    """What this system cannot display or read."""
    encoding = sys.stdout.encoding
    if encoding and not _is_utf8(encoding):
        yield (
            f"standard output is {encoding}: other characters are shown as `?`. Set PYTHONUTF8=1 "
            "to show them all."
        )
    if missing := lacking(CJK):
        yield (
            "no installed font covers Chinese, Japanese and Korean: figures show codes such as "
            f"{code(missing[0])}. Install one, such as Noto Sans CJK."
        )
    if not heic_version():
        yield f"HEIC, the image format of iPhones, cannot be read; `{install_heic()}` adds it."
