"""Finds runs and studies on disk by an id, a unique prefix of one, "last", or their folder."""

import os
from enum import Enum
from pathlib import Path

from kerascnn.engine.result.folds import FOLDS, FOLDS_PLAN
from kerascnn.engine.result.run import BEST, BEST_PLAN, RESULT, SWEEP, SWEEP_PLAN
from kerascnn.errors import InputError
from kerascnn.runtime.commands import command
from kerascnn.tracking.journal import JOURNAL, RUNS, Journal


class Kind(Enum):
    """What a folder in `kerascnn-runs` holds: the first kind that has a file there.

    Args:
        noun: In messages.
        files: That which a folder has from its start, and that of the result.
        verb: The command that begins one, and resumes one with `--resume`.
        show: The command that shows one.
    """

    SWEEP = ("sweep", (SWEEP_PLAN, SWEEP), "sweep", "sweep show")
    FOLDS = ("study of folds", (FOLDS_PLAN, FOLDS), "folds", "compare")
    BEST = ("study of best", (BEST_PLAN, BEST), "best", "best --show")
    RUN = ("run", (JOURNAL, RESULT), "run", "compare")

    def __init__(self, noun: str, files: tuple[str, str], verb: str, show: str) -> None:
        self.noun, self.files, self.verb, self.show = noun, files, verb, show

    def none_yet(self, state: str = "") -> str:
        """Says that there is none, or none in a state such as "finished ", and how to begin one."""
        begins = command(self.verb, "FILE")
        return f"no {state}{self.noun} in {runs_folder()} yet; `{begins}` begins one."

    def finished(self, folder: Path) -> bool:
        """Whether it has ended well, by its journal; without one, whether it has a result."""
        entries = Journal.read(folder).entries
        if not entries:
            return (folder / self.files[1]).is_file()
        return entries[-1].get("status") == "FINISHED"

    def described(self, folder: Path, asked: str = "") -> str:
        """What a folder holds, not what was asked for, and the command for it."""
        run_id, instead = folder.name[:8], f", not a {asked}" if asked else ""
        if self.finished(folder):
            shows = command(*self.show.split(), run_id)
            return f"{run_id} is a {self.noun}{instead}; `{shows}` shows it."
        resumes = command(self.verb, "--resume", run_id)
        return f"{run_id} is an unfinished {self.noun}{instead}; `{resumes}` resumes it."


def runs_folder() -> Path:
    """The folder of all runs, in the working directory."""
    return Path(RUNS).absolute()


def kind_of(folder: Path) -> Kind | None:
    """What a folder holds; None if it is not one of a run or study."""
    has = (kind for kind in Kind if any((folder / file).is_file() for file in kind.files))
    return next(has, None)


def folders(*kinds: Kind) -> list[Path]:
    """The folders of these kinds, sorted by id."""
    return sorted(folder for folder in runs_folder().glob("*") if kind_of(folder) in kinds)


def matching(name: str, *kinds: Kind) -> list[Path]:
    """The folders that a name stands for: an id, a prefix, "last" (to begin), or a folder."""
    if name and kind_of(Path(name)) in kinds:
        return [Path(name).resolve()]
    if name == "last":
        return sorted(folders(*kinds), key=_begun)[-1:]
    return [folder for folder in folders(*kinds) if name and folder.name.startswith(name)]


def find(name: str | os.PathLike[str], *kinds: Kind) -> Path:
    """The one folder of these kinds that a name stands for; see `matching`.

    Raises:
        InputError: There is none, or more than one.
    """
    name = os.fspath(name)
    found = matching(name, *kinds)
    if len(found) == 1:
        return found[0]
    *others, last = (kind.noun for kind in kinds)
    nouns = f"{', '.join(others)} or {last}" if others else last
    if found:
        ids = ", ".join(folder.name[:12] for folder in found)
        raise InputError(f'"{name}" matches {len(found)} folders: {ids}. Give more of the id.')
    if name == "last":
        raise InputError(kinds[0].none_yet())
    for other in set(Kind).difference(kinds):
        for folder in matching(name, other):
            raise InputError(other.described(folder, nouns))
    listed = command("runs", "list")
    raise InputError(f'no {nouns} "{name}" in {runs_folder()}; `{listed}` lists what is there.')


def find_unfinished(name: str, kind: Kind) -> Path:
    """The folder of a run or study that can be resumed.

    Args:
        name: An id, a unique prefix of one, its folder, or "last": the last unfinished one.

    Raises:
        InputError: There is none, or more than one, or it has finished.
    """
    if name == "last":
        unfinished = [folder for folder in folders(kind) if not kind.finished(folder)]
        if unfinished:
            return max(unfinished, key=_begun)
        raise InputError(f"no unfinished {kind.noun} in {runs_folder()}: nothing to resume.")
    folder = find(name, kind)
    if kind.finished(folder):
        raise InputError(f"{kind.noun} {folder.name[:8]} has finished: nothing to resume.")
    return folder


def _begun(folder: Path) -> float:
    """When a run began or was last resumed, by its journal: uploading changes its files."""
    starts = [e for e in Journal.read(folder).entries if e["kind"] in ("create", "resume")]
    return max((entry.get("time", 0) for entry in starts), default=folder.stat().st_mtime * 1000)
