"""What is installed, where things are kept, what is wrong, and what is good to know."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.data.heic import heic_version, install_heic
from kerascnn.errors import InputError
from kerascnn.results.canvas import lacking
from kerascnn.results.find import runs_folder
from kerascnn.results.folders import RunFolder, list_runs
from kerascnn.run.checkpointer import CHECKPOINTS
from kerascnn.runtime.address import displayed, sqlite_file, tracking_uri
from kerascnn.runtime.backend import installed_backends, start_backend
from kerascnn.runtime.cache import cache_folder, limit_bytes
from kerascnn.runtime.commands import command
from kerascnn.runtime.devices import available_cores, device_name
from kerascnn.runtime.files import GB, gigabytes
from kerascnn.runtime.image_files import has_image_suffix, ignored_kind
from kerascnn.runtime.text import code, counted
from kerascnn.runtime.versions import installed_versions
from kerascnn.tracking.artifacts import correct_records, missing_artifacts
from kerascnn.tracking.entries import deleted_experiments
from kerascnn.tracking.store import RefusingStoreError, TrackingError, reach
from kerascnn.tracking.tracker import check_writable

LEAST_FREE_BYTES = 2 * GB
CJK = "中あ한"  # a character of each script
LOOKED_AT = 100  # entries of a folder, where it is asked whether images lie in it
FILE_STORE = "mlruns"  # MLflow's, and its name for it


def examine() -> dict[str, Any]:
    """Examines this installation and the working directory.

    Returns:
        What is where; `problems`, a sentence for each thing to mend; and `notes`, one for each
        that is harmless.
    """
    runs, registry = list_runs(), load_registry()
    problems = [*_locale(), *_working_folder(), *_refused(runs)]
    notes = list(correct_records(tracking_uri()))  # before the store is opened, which mends it too
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
            f"the locale reads file names as {encoding}, so that folders of other characters "
            "cannot name classes. Set PYTHONUTF8=1, or a locale of UTF-8 such as LC_ALL=C.UTF-8."
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
        yield f"the disk of {folder} has {gigabytes(free)} free; make room on it."


def _refused(runs: list[RunFolder]) -> Iterator[str]:
    """Runs that no store will have until somebody acts."""
    for (store, fault), kept in Counter(
        (run.store, run.fault) for run in runs if _is_kept(run) and run.refusing
    ).items():
        yield (
            f"{_runs(kept)} cannot be sent to {store}: {fault} Once that is "
            f"mended, `{command('runs', 'send')}` sends them."
        )


def _kept(runs: list[RunFolder]) -> Iterator[str]:
    """Runs that are sent by themselves once their store takes them."""
    stores = Counter(run.store for run in runs if _is_kept(run) and not run.refusing)
    faults = {run.store: f" Last time: {run.fault}" for run in runs if run.fault}
    for store, kept in stores.items():
        elsewhere = command("runs", "send", "--to", "ADDRESS")
        yield (
            f"{_runs(kept)} {'is' if kept == 1 else 'are'} kept for {store}; "
            f"`{command('runs', 'send')}` sends what is missing there, as does the next run, and "
            f"`{elsewhere}` sends it to another store.{faults.get(store, '')}"
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
            f"{_runs(len(found))} did not finish and can go on, the last one ({last.experiment}) "
            f"with `{command('run', '--resume', last.run_id[:8])}`; "
            f"`{command('runs', 'list')}` shows all."
        )


def _runs(count: int) -> str:
    return counted(count, "run")


def _device(problems: list[str]) -> str:
    try:
        backend = start_backend()
        return f"{backend} on {device_name()}"
    except InputError as error:
        problems.append(str(error))
    except Exception as error:  # whatever a half-installed backend raises when it is imported
        problems.append(f"the backend does not load: {type(error).__name__}: {error}")
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
            f"the cache folder {folder} cannot be written to. Change its permissions, or set "
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
            told = " ".join(problems)  # of runs that are refused for the same reason
            problems += [said for said in deleted_experiments(uri, names) if said not in told]
    except TrackingError as error:
        passes = not isinstance(error, RefusingStoreError)
        later = " This may pass: runs go on meanwhile, and are sent later." if passes else ""
        problems.append(f"the tracking store cannot be used: {error}{later}")
        return f"{store} (cannot be used)"
    problems += missing_artifacts(uri)
    return store


def _plugins(registry: Registry, problems: list[str]) -> str:
    problems += [f"plugin of {fault.origin}: {fault.reason}" for fault in registry.faults]
    problems += registry.conflicts()
    packages = dict.fromkeys(str(registered.origin) for registered in registry.unique)
    return f"{len(registry.claims)} components of {', '.join(packages)}"


def _unloaded(registry: Registry) -> Iterator[str]:
    yield from (f"plugin of {slow.origin}: {slow}" for slow in registry.slow)
    if registry.not_allowed:
        names = ", ".join(dict.fromkeys(map(str, registry.not_allowed)))
        yield f"not loaded, for they are not among the plugins that are allowed: {names}."


def _file_store() -> Iterator[str]:
    """MLflow's own commands prefer its old store wherever it finds one."""
    if "MLFLOW_TRACKING_URI" not in os.environ and any(Path(FILE_STORE).glob("[0-9]*/meta.yaml")):
        yield (
            f"{FILE_STORE} holds runs in MLflow's old file store. They are not in mlflow.db, which "
            f"kerascnn uses, and MLflow's own commands show them in its place: use "
            f"`{command('ui')}`, or move {FILE_STORE} away. `mlflow migrate-filestore --source . "
            "--target sqlite:///migrated.db` copies them into a database."
        )


def _among_images() -> Iterator[str]:
    """That runs started here are written into what looks like a dataset."""
    folders = (path for path in islice(Path.cwd().iterdir(), LOOKED_AT) if not ignored_kind(path))
    if sum(map(_holds_images, folders)) > 1:
        yield (
            f"{Path.cwd()} looks like a folder of class folders, and runs started here are written "
            "into it. They are never read as images; to keep the two apart, start runs from "
            "another folder."
        )


def _holds_images(path: Path) -> bool:
    return (
        path.is_dir()
        and os.access(path, os.R_OK)
        and any(map(has_image_suffix, islice(path.iterdir(), LOOKED_AT)))
    )


def _lacking() -> Iterator[str]:
    """What this system cannot show or read."""
    encoding = sys.stdout.encoding
    if encoding and not _is_utf8(encoding):
        yield (
            f"standard output is {encoding}: characters that it lacks are shown as `?`. Set "
            "PYTHONUTF8=1 to show them all."
        )
    if missing := lacking(CJK):
        yield (
            "no installed font has all characters of Chinese, Japanese and Korean: figures show "
            f"codes such as {code(missing[0])}. Install one, such as Noto Sans CJK."
        )
    if not heic_version():
        yield f"HEIC, an iPhone's format of images, cannot be read; `{install_heic()}` adds it."
