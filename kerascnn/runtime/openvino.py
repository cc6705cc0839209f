"""OpenVINO, an optional engine that runs frozen networks faster on CPUs than most backends."""

import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kerascnn.errors import InputError
from kerascnn.runtime.commands import pip_install

_TELEMETRY = "openvino_telemetry"


def openvino_version() -> str | None:
    """The version of the installed package, which is not imported; None if there is none."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def require_openvino() -> None:
    """Raises InputError unless OpenVINO is installed."""
    if not openvino_version():
        raise InputError(
            f"OpenVINO is not installed: `{pip_install('kerascnn[openvino]')}` installs it."
        )


def load_openvino() -> Any:
    """Imports OpenVINO without its telemetry, which would report each import to its makers."""
    hidden = _TELEMETRY not in sys.modules
    if hidden:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # importing it now fails
    try:
        import openvino
    finally:
        if hidden:
            del sys.modules[_TELEMETRY]
    return openvino


@cache
def openvino_core() -> Any:
    """OpenVINO's device manager, the same one for the life of the process.

    Its plugin for CPUs gives the thread that first uses it a stack for signal handlers, and frees
    it when it is itself destroyed (2026.4). In any other thread the first one keeps the address of
    freed memory, and the next Ctrl-C kills the process.
    """
    return load_openvino().Core()
