"""The observer used when none is given."""

import builtins
import sys

from rich.console import Console

from kerascnn.cli.sweep_terminal import SweepTerminal
from kerascnn.cli.terminal import WIDE


def default_observer() -> SweepTerminal:
    """Shows progress on standard error, or in a notebook in the output of the cell."""
    ipython = getattr(builtins, "get_ipython", lambda: None)()
    if hasattr(ipython, "kernel"):  # IPython in a terminal has none
        from kerascnn.cli.notebook import NotebookTerminal

        return NotebookTerminal()
    width = None if sys.stderr.isatty() else WIDE
    return SweepTerminal(Console(stderr=True, force_jupyter=False, highlight=False, width=width))
