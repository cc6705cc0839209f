"""What an update finds new, in words."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kerascnn.engine.data.splits.divided import SPLITS
from kerascnn.engine.data.store.changes import Changes
from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError, did_you_mean
from kerascnn.runtime.text import abbreviated, counted


def check_changed(run: Result, data: Data, folders: Sequence[Path]) -> None:
    """Raises InputError if the run has had all images, under the same labels."""
    if data.changes:
        return
    where = " and ".join(["its dataset", *(f'"{folder}"' for folder in folders)])
    raise InputError(
        f"nothing is new: run {run.run_id[:8]} knows every image of {where} under its label. Add "
        "images or correct labels first; --data FOLDER reads a folder with one folder per class."
    )


def changed(run: Result, data: Data) -> str:
    """What is new since a run, in a line."""
    assert data.changes
    return f"since run {run.run_id[:8]}: {'; '.join(_parts(run, data.changes))}"


def _parts(run: Result, changes: Changes) -> Iterator[str]:
    if changes.count:
        sums = [sum(of[split] for of in changes.new.values()) for split in SPLITS]
        counts = ", ".join(f"{n:,} {split}" for n, split in zip(sums, SPLITS, strict=True))
        yield f"{counted(changes.count, 'new image')} ({counts})"
    for name in changes.classes:
        near = did_you_mean(name, run.class_names)
        count = sum(changes.new.get(name, {}).values())
        count += sum(one.label == name for one in changes.relabelled)
        yield f'the class "{name}" is new, {counted(count)}{near}'
    if changes.relabelled:
        shown = [f"{one.before} to {one.label}" for one in changes.relabelled]
        kinds = abbreviated(list(dict.fromkeys(shown)))
        yield f"{counted(len(shown), 'label')} corrected ({kinds})"
    if changes.gone:
        yield f"{counted(changes.gone)} gone"
