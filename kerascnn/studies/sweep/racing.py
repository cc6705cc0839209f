"""The race of a sweep's workers: each trial's marks are in a file that all of them read."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kerascnn.engine.metrics.race import Curve, Marks, Scoring, Verdict, verdict
from kerascnn.run.look import Look
from kerascnn.runtime.files import whole_file

RACE = "race"  # the folder in the sweep's


@dataclass
class Race:
    """Drops trials that are worse than the best one so far.

    Only looks at the last stage count: the stages before prepare for it, and what is worse there
    may end best. Files are replaced whole, so that workers may read and write at any time, and a
    trial that another worker resumes has the looks from before.

    Args:
        folder: The sweep's.
        scoring: By the sweep's metric.
        stage: The name of the last stage.
        entrants: Number of trials, at most.
    """

    folder: Path
    scoring: Scoring
    stage: str
    entrants: int
    _read: dict[Path, tuple[tuple[int, int], Curve]] = field(default_factory=dict)

    def __call__(self, look: Look, number: int, seed: int) -> str:
        """Enters a look of a trial.

        Args:
            look: At the validation images after an epoch.
            number: Of the trial; all seeds of a setting have one.
            seed: Of the trial's seeds, from 0.

        Returns:
            Why the trial is to be dropped, or "".
        """
        if look.stage != self.stage:
            return ""
        marks = self.scoring.marks(look.probabilities, look.labels)
        if marks is None:
            return ""
        self._enter(self._file(number, seed), look, marks)
        race = self._entrants()
        seeds = [race[number].pop(one) for one in sorted(race[number]) if one != seed]
        curves = {other: list(by_seed.values()) for other, by_seed in race.items()}
        curves[number] = [*seeds, race[number][seed]]
        found = verdict(self.scoring, number, curves, self.entrants)
        return self._reason(found, look) if found and found.drop else ""

    def withdraw(self, number: int) -> None:
        """Takes a trial that failed out of the race: being worse than it says little."""
        for file in (self.folder / RACE).glob(f"{number}-*.npz"):
            file.unlink(missing_ok=True)

    def _file(self, number: int, seed: int) -> Path:
        return self.folder / RACE / f"{number}-{seed}.npz"

    def _enter(self, file: Path, look: Look, marks: Marks) -> None:
        """Adds the marks to the file; an epoch that is trained again replaces what it was."""
        file.parent.mkdir(exist_ok=True)
        before = self._curve(file)
        looks = {**(before.looks if before else {}), look.stage_epoch: marks}
        with whole_file(file) as new, new.open("wb") as stream:
            np.savez(
                stream,
                epochs=look.stage_epochs,
                numbers=list(looks),
                values=[one.value for one in looks.values()],
                parts=np.stack([one.parts for one in looks.values()]),
            )

    def _entrants(self) -> dict[int, dict[int, Curve]]:
        race: dict[int, dict[int, Curve]] = {}
        for file in sorted((self.folder / RACE).glob("*.npz")):
            if curve := self._curve(file):
                number, seed = map(int, file.stem.split("-"))
                race.setdefault(number, {})[seed] = curve
        return race

    def _curve(self, file: Path) -> Curve | None:
        """A file's curve; None if it is gone. One that has not changed is not read again."""
        try:
            status = file.stat()
            version = status.st_mtime_ns, status.st_ino
            if self._read.get(file, ((0, 0),))[0] != version:
                self._read[file] = version, _read(file)
            return self._read[file][1]
        except FileNotFoundError:
            return None

    def _reason(self, found: Verdict, look: Look) -> str:
        mine, theirs = (self.scoring.sign * value for value in (found.mine, found.theirs))
        p_value = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
        at_best = f"{self.scoring.metric} at best {mine:.4f} until epoch {look.stage_epoch}"
        return (
            f"worse than trial {found.leader}: {at_best} of {look.stage}, against {theirs:.4f} at "
            f"its epoch {found.epoch} on the same {len(look.labels):,} images, {p_value} after "
            "correction"
        )


def _read(file: Path) -> Curve:
    with np.load(file) as saved:
        looks = {
            int(number): Marks(float(value), parts)
            for number, value, parts in zip(
                saved["numbers"], saved["values"], saved["parts"], strict=True
            )
        }
        return Curve(int(saved["epochs"]), looks)
