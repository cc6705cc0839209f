"""The observer used when none is given."""

import builtins
import sys

from rich.console import Console

from kerascnn.cli.terminal import WIDE, Terminal


def default_observer() -> Terminal:
    """Shows progress on standard error, or in a notebook in the output of the cell."""
    ipython = getattr(builtins, "get_ipython", lambda: None)()
    if hasattr(ipython, "kernel"):  # IPython in a terminal has none
        from kerascnn.cli.notebook import NotebookTerminal

        return NotebookTerminal()
    width = None if sys.stderr.isatty() else WIDE
    return Terminal(Console(stderr=True, force_jupyter=False, highlight=False, width=width))
