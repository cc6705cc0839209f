"""The versions of installed packages that a result depends on."""

import platform
from importlib.metadata import PackageNotFoundError, version


def installed_versions() -> dict[str, str]:
    """The versions that a result depends on, such as Python's, Keras's and the backend's."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    packages = ("kerascnn", "keras", "tensorflow", "jax", "torch", "numpy", "pillow", "pi-heif")
    for name in (*packages, "mlflow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
