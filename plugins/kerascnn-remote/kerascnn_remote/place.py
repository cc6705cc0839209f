"""A place to read from through fsspec: how long it waits, how often it tries, what it says."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from kerascnn import InputError, PassingError, pip_install

T = TypeVar("T")

ATTEMPTS = 5
WAIT_SECONDS = 0.5  # before the second attempt; twice as long before each further one

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
_HOPELESS = (FileNotFoundError, PermissionError, NotImplementedError)


class ShortError(OSError):
    """A server has sent another number of bytes than were asked for."""


@dataclass(frozen=True)
class Place:
    """Where addresses of one scheme are read."""

    scheme: str
    anonymous: bool
    timeout_seconds: float

    @property
    def files(self) -> Any:
        """fsspec's file system, which it keeps for each process."""
        import fsspec

        package = _PACKAGES.get(self.scheme)
        if package and importlib.util.find_spec(package) is None:
            install = pip_install(f"kerascnn-remote[{self.scheme}]")
            raise InputError(f"{self.scheme}:// needs {package}; run `{install}`.")
        return fsspec.filesystem(self.scheme, **self._options())

    def _options(self) -> dict[str, Any]:
        if self.scheme == "s3":
            timeouts = {"connect_timeout": self.timeout_seconds}
            timeouts |= {"read_timeout": self.timeout_seconds, "retries": {"max_attempts": 1}}
            return {"anon": self.anonymous, "config_kwargs": timeouts}
        if self.scheme == "gs":
            anonymous = {"token": "anon"} if self.anonymous else {}
            return {"requests_timeout": self.timeout_seconds, **anonymous}
        import aiohttp

        seconds = self.timeout_seconds
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
        return {"client_kwargs": {"timeout": timeout}}

    def asked(self, what: str, url: str, ask: Callable[[Any], T]) -> T:
        """`ask(files)`, again after a failure that may pass.

        Raises:
            InputError: There is no such file, or it may not be read.
            PassingError: It failed in every attempt.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return ask(self.files)
            except InputError:
                raise
            except _HOPELESS as error:
                raise InputError(
                    f'cannot read "{url}": {_said(error)}. Check the address and who may read it; '
                    "credentials come from the environment (AWS_…, GOOGLE_APPLICATION_CREDENTIALS)."
                ) from error
            except Exception as error:  # each file system raises its own
                if attempt == ATTEMPTS:
                    raise PassingError(
                        f'cannot read {what} of "{url}" in {ATTEMPTS} attempts: {_said(error)}. '
                        "Check the connection and the server, then start again: whole shards that "
                        "were fetched are kept."
                    ) from error
                time.sleep(WAIT_SECONDS * 2 ** (attempt - 1))
        raise AssertionError


def _said(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0].rstrip('.')}" if text else type(error).__name__
