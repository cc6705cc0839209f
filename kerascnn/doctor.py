"""What is installed, where things are kept, and what is wrong."""

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from kerascnn import runtime
from kerascnn.cache import cache_folder
from kerascnn.errors import InputError
from kerascnn.files import GB, gigabytes
from kerascnn.plugins import load_registry
from kerascnn.tracking.address import displayed, tracking_uri
from kerascnn.tracking.artifacts import told_missing, told_moved
from kerascnn.tracking.store import RefusingStoreError, TrackingError, reach

LEAST_FREE_BYTES = 2 * GB


def examine() -> dict[str, Any]:
    """Examines this installation; `problems` lists a sentence for each thing to mend."""
    problems = list(_locale())
    return {
        "versions": runtime.versions(),
        "backends": runtime.installed_backends(),
        "device": _device(problems),
        "cores": runtime.available_cores(),
        "cache": _cache(problems),
        "tracking": _tracking(problems),
        "plugins": _plugins(problems),
        "problems": problems,
    }


def _locale() -> Iterator[str]:
    encoding = sys.getfilesystemencoding()
    if encoding.lower() not in ("utf-8", "utf8"):
        yield (
            f"the locale reads file names as {encoding}, so that folders of other characters "
            "cannot name classes. Set PYTHONUTF8=1, or a locale of UTF-8 such as LC_ALL=C.UTF-8."
        )


def _device(problems: list[str]) -> str:
    try:
        backend = runtime.start()
        return f"{backend} on {runtime.device_name()}"
    except InputError as error:
        problems.append(str(error))
    except Exception as error:  # whatever a half-installed backend raises when it is imported
        problems.append(f"the backend does not load: {type(error).__name__}: {error}")
    return "none"


def _cache(problems: list[str]) -> str:
    try:
        folder = cache_folder()
    except InputError as error:
        problems.append(str(error))
        return "none"
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        problems.append(f"the cache folder {folder} cannot be written to.")
    if free < LEAST_FREE_BYTES:
        problems.append(f"the disk of {folder} has {gigabytes(free)} free.")
    return f"{folder} ({gigabytes(free)} free)"


def _tracking(problems: list[str]) -> str:
    uri = displayed(tracking_uri())
    moved = list(told_moved(tracking_uri()))
    try:
        reach(tracking_uri())
    except TrackingError as error:
        passes = not isinstance(error, RefusingStoreError)
        later = " This may pass: runs go on meanwhile, and are sent later." if passes else ""
        problems.append(f"the tracking store cannot be used: {error}{later}")
        return f"{uri} (cannot be used)"
    problems += told_missing(tracking_uri())
    return " ".join([uri, *moved])


def _plugins(problems: list[str]) -> str:
    registry = load_registry()
    problems += [f"plugin of {fault.origin}: {fault.reason}" for fault in registry.faults]
    problems += registry.conflicts()
    packages = dict.fromkeys(str(registered.origin) for registered in registry.unique)
    return f"{len(registry.claims)} components of {', '.join(packages)}"
