"""What determines the result of a run, compared when it resumes."""

from typing import Any

from kerascnn.engine.prepared import Prepared
from kerascnn.errors import ResumeError
from kerascnn.experiment.model import INCIDENTAL
from kerascnn.experiment.tables import flatten
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.versions import installed_versions

_PACKAGES = ("kerascnn", "keras", "numpy", "pillow")  # and the backend
_NAMED = 5


class ChangedError(ResumeError):
    """A run cannot resume: something that determines its result has changed."""


def settings_of(resolved: dict[str, Any]) -> dict[str, str]:
    """The settings of a resolved experiment that determine the result, as text."""
    return {key: repr(value) for key, value in flatten(resolved).items() if key not in INCIDENTAL}


def determinants(prepared: Prepared) -> dict[str, str]:
    """Everything besides the settings that determines the result, by readable names."""
    found = installed_versions()
    return {  # causes first: a message names only a few
        **{f"version of {name}": found.get(name, "") for name in (*_PACKAGES, prepared.backend)},
        "backend": prepared.backend,
        "device": device_name(),
        **prepared.experiment.code_keys,
        **{f"{name} images": p.fingerprint for name, p in prepared.data.splits().items()},
        **{f"prepared {name} images": p.key for name, p in prepared.data.splits().items()},
    }


def check_same(then: dict[str, str], now: dict[str, str]) -> None:
    """Raises ChangedError with the differences unless both are equal."""
    differ = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if differ:
        raise changed([_difference(name, then.get(name), now.get(name)) for name in differ])


def _difference(name: str, then: str | None, now: str | None) -> str:
    hashed = name.startswith("code") or name.endswith("images")
    return name if hashed else f"{name} (was {then or 'not set'}, is {now or 'not set'})"


def changed(differ: list[str]) -> ChangedError:
    """The error that names the differences."""
    more = f" and {len(differ) - _NAMED} more" if len(differ) > _NAMED else ""
    return ChangedError(
        "cannot resume exactly: this has changed since the run started: "
        f"{'; '.join(differ[:_NAMED])}{more}. Change it back, or start a new run without --resume."
    )
