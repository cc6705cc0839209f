"""Commands as they are shown to people: quoted, and such that they run where they are pasted."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "kerascnn"


def command(*arguments: str) -> str:
    """A command of kerascnn, with the program as it was called here.

    Args:
        arguments: Those of the command line; capitals such as FILE stand for what is not known.
    """
    return f"{_program()} {_joined(arguments)}"


def python(*arguments: str) -> str:
    """A command of the Python that runs this program."""
    return _joined([_python(), *arguments])


def pip_install(*arguments: str) -> str:
    """The command that installs packages where this Python looks for them."""
    return python("-m", "pip", "install", *arguments)


def setting(key: str, value: Any) -> str:
    """A remedy by key: as the TOML writes it, and as an option that can be pasted."""
    from kerascnn.runtime.toml import as_toml

    text = value if isinstance(value, str) else as_toml(value)
    return f"{key} = {as_toml(value)} ({overrides({key: text})})"


def overrides(values: Mapping[str, str]) -> str:
    """The options that override keys of an experiment."""
    return _joined([part for key, text in values.items() for part in ("--set", f"{key}={text}")])


def _joined(arguments: Any) -> str:
    return subprocess.list2cmdline(arguments) if os.name == "nt" else shlex.join(arguments)


def _program() -> str:
    """`kerascnn` where the shell finds this very program, else the path that was typed."""
    typed = Path(sys.argv[0])
    if typed.name == "__main__.py" and typed.parent.name == NAME:
        return python("-m", NAME)
    if typed.stem != NAME or typed.parent == Path() or _on_path(NAME) == typed.absolute():
        return NAME
    return _joined([str(typed)])


def _python() -> str:
    """`python` where that is this one, else its path from here."""
    executable = Path(sys.executable)
    if _on_path("python") == executable:
        return "python"
    below = executable.is_relative_to(Path.cwd())
    return str(executable.relative_to(Path.cwd()) if below else executable)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found).absolute() if found else None
