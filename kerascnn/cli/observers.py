"""What is shown of a run where nothing else was asked for."""

import builtins
import sys

from rich.console import Console

from kerascnn.cli.terminal import WIDE, Terminal


def default_observer() -> Terminal:
    """Shows on standard error; in a notebook, among what its cell prints."""
    ipython = getattr(builtins, "get_ipython", lambda: None)()
    if hasattr(ipython, "kernel"):  # not that of a terminal
        from kerascnn.cli.notebook import NotebookTerminal

        return NotebookTerminal()
    width = None if sys.stderr.isatty() else WIDE
    return Terminal(Console(stderr=True, force_jupyter=False, highlight=False, width=width))
