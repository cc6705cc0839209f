"""Commands as messages show them: quoted, and ready to paste into this shell."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerascnn.runtime.toml import as_toml

NAME = "kerascnn"


def command(*arguments: str) -> str:
    """A kerascnn command, with the program as it was called here.

    Args:
        arguments: Of the command line; capitals such as FILE stand for a value to fill in.
    """
    return f"{_program()} {_joined(arguments)}"


def python(*arguments: str) -> str:
    return _joined([_python(), *arguments])


def pip_install(*arguments: str) -> str:
    """The command that installs packages for this Python interpreter."""
    return python("-m", "pip", "install", *arguments)


def setting(key: str, value: Any) -> str:
    """A key and its new value, as TOML and as an option to paste."""
    text = value if isinstance(value, str) else as_toml(value)
    return f"{key} = {as_toml(value)} ({overrides({key: text})})"


def overrides(values: Mapping[str, str]) -> str:
    return _joined([part for key, text in values.items() for part in ("--set", f"{key}={text}")])


def _joined(arguments: Any) -> str:
    return subprocess.list2cmdline(arguments) if os.name == "nt" else shlex.join(arguments)


def _program() -> str:
    """`kerascnn` if the shell finds this program by that name, else the path that was typed."""
    typed = Path(sys.argv[0])
    if typed.name == "__main__.py" and typed.parent.name == NAME:
        return python("-m", NAME)
    if typed.stem != NAME or typed.parent == Path() or _on_path(NAME) == typed.absolute():
        return NAME
    return _joined([str(typed)])


def _python() -> str:
    """`python` if that is this interpreter, else its path from the working directory."""
    executable = Path(sys.executable)
    if _on_path("python") == executable:
        return "python"
    below = executable.is_relative_to(Path.cwd())
    return str(executable.relative_to(Path.cwd()) if below else executable)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found).absolute() if found else None
