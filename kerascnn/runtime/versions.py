"""The versions of installed packages that a result depends on."""

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from kerascnn.runtime.process import kept


@kept
def installed_versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    packages = ("kerascnn", "keras", "tensorflow", "jax", "torch", "numpy", "pillow", "pi-heif")
    for name in (*packages, "openvino", "mlflow"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
