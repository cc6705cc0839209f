"""Finds sweeps on disk, and reads how they stand."""

import os
from pathlib import Path

from kerascnn.engine.result import SWEEP_PLAN
from kerascnn.errors import InputError
from kerascnn.results.find import runs_folder
from kerascnn.runtime.commands import command
from kerascnn.tracking.journal import TRIALS

DATABASE = "sweep.db"
WINNER = "winner.toml"


def find_sweep(sweep: str | os.PathLike[str]) -> Path:
    """The folder of a sweep.

    Args:
        sweep: Its id, a unique prefix of it, "last", or its folder.

    Raises:
        InputError: There is no such sweep, or more than one.
    """
    name = os.fspath(sweep)
    if name and Path(name, SWEEP_PLAN).is_file():
        return Path(name).resolve()
    folders = sorted((file.parent for file in runs_folder().glob(f"*/{SWEEP_PLAN}")), key=_begun)
    if name == "last":
        if not folders:
            again = command("sweep", "FILE")
            raise InputError(f"no sweep in {runs_folder()} yet; begin one with `{again}`.")
        return folders[-1]
    found = [folder for folder in folders if name and folder.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    ids = ", ".join(folder.name[:12] for folder in found)
    which = f"matches {len(found)} sweeps: {ids}" if found else "matches none"
    raise InputError(f'sweep "{name}" {which} in {runs_folder()}.')


def trial_folder(sweep: Path, number: int, seed: int) -> Path:
    """The folder of a trial's seed, in that of its sweep."""
    return sweep / TRIALS / f"{number}-{seed}"


def _begun(folder: Path) -> float:
    return (folder / SWEEP_PLAN).stat().st_mtime
