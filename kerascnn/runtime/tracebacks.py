"""Which line of an author's code raised an error, for messages."""

import re
import sys
import traceback
from pathlib import Path

from kerascnn.runtime.backend import BACKENDS

_LIBRARIES = {
    *("kerascnn", "keras", *BACKENDS, "numpy", "PIL", "pydantic", "pydantic_core"),
    *("cloudpickle", "importlib_metadata", "joblib", "pluggy"),
}
_REWRITTEN = "__autograph_generated_file"  # TensorFlow's copy of a function that it compiles
_NOTED = re.compile(r'^ *File "(.+)", line (\d+), in .*$', re.MULTILINE)

Place = tuple[Path, int]
"""A file and a line in it."""


def places(error: BaseException) -> list[tuple[str, Place]]:
    """The lines that an error passed through, the innermost last, each with its top-level module.

    A built-in component's module is whole, as that of a package of its own.
    """
    found = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        module, file = frame.f_globals.get("__name__", ""), Path(frame.f_code.co_filename)
        builtin = module.startswith("kerascnn.components.builtin.")
        if _REWRITTEN not in file.name:
            found.append((module if builtin else module.partition(".")[0], (file, line)))
    for name, number in _NOTED.findall(str(error)):  # in code that TensorFlow compiled
        file = Path(name)
        library = next((part for part in file.parts if part in _LIBRARIES), "")
        found.append((library or _package_of(file), (file, int(number))))
    return found


def described(error: BaseException, package: str = "") -> str:
    """An error's type and text, and where it was raised: "OSError: disk full (rates.py, line 12)".

    That is the innermost line of the package, by its top-level module; if the error passed through
    none, the innermost line outside of kerascnn, Python and the libraries that both use.
    """
    found, libraries = places(error), {*_LIBRARIES, *sys.stdlib_module_names}
    own = [place for top, place in found if top == package and top not in _LIBRARIES]
    others = [place for top, place in found if top not in libraries]
    where = [f" ({file.name}, line {line})" for file, line in (own or others)[-1:]]
    return said(error).rstrip(".") + "".join(where)


def said(error: BaseException) -> str:
    """An error's type and text, without the stack that TensorFlow puts before the text."""
    text = str(error)
    if _NOTED.search(text):
        text = re.sub(r"^\w+: ", "", text.strip().rpartition("\n\n")[2].strip())
    return f"{type(error).__name__}: {text}"


def _package_of(file: Path) -> str:
    """The top-level package of a file."""
    while (file.parent / "__init__.py").exists():
        file = file.parent
    return file.stem
