"""What `best` has tried, and what it ends with."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import kerascnn
from kerascnn.engine.result.run import BEST, Result
from kerascnn.errors import InputError
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.screen import first_rows, screen
from kerascnn.studies.best.rungs import Rung

DONE, FAILED, LEFT_OUT, RUNNING = "done", "failed", "left out", "running"
"""The states of what was tried."""


@dataclass(frozen=True)
class Tried:
    """One thing that was tried, or left out for lack of time.

    Args:
        number: From 0; its folder in that of the study has this name.
        what: In words.
        state: "done", "failed", "left out" or "running".
        rung: Its settings; None for an ensemble.
        members: Of an ensemble, the numbers of those that it is the mean of.
        seconds: That it took; of one that was left out, what it needs.
        val_accuracy: On the validation images, which did not train it.
        interval: 95% (Wilson).
        val_loss: Cross-entropy of its calibrated probabilities, by which it is judged.
        temperature: That calibrates them.
        gain: In validation accuracy over the best before it; None for the first.
        gain_interval: 95%, paired image by image.
        better: Whether it was the best when it was done.
        reason: Why it failed or was left out.
        prefix_seconds: Of its seconds, those of the frozen prefix.
        rows_made: Images and views that the frozen prefix ran over.
        fit_seconds: Of its seconds, those of the epochs of its last stage.
    """

    number: int
    what: str
    state: str
    rung: Rung | None = None
    members: tuple[int, ...] = ()
    seconds: float = 0.0
    val_accuracy: float | None = None
    interval: tuple[float, float] | None = None
    val_loss: float | None = None
    temperature: float | None = None
    gain: float | None = None
    gain_interval: tuple[float, float] | None = None
    better: bool = False
    reason: str = ""
    prefix_seconds: float = 0.0
    rows_made: int = 0
    fit_seconds: float = 0.0

    @property
    def too_long(self) -> bool:
        """Whether it was left out because it takes longer than there was time."""
        return self.state == LEFT_OUT and self.seconds > 0


@dataclass(frozen=True)
class Ending:
    """What is run in the end.

    Args:
        one: That was tried.
        more_epochs: Of what is fine-tuned, on the validation images too; with 0 nothing is trained
            on them.
    """

    one: Tried
    more_epochs: int

    @property
    def retrained(self) -> bool:
        """Whether it is trained on the validation images too."""
        return self.more_epochs > 0


@dataclass(frozen=True)
class BestResult:
    """What a study has tried so far, and the run that it ends with.

    Args:
        study: Its id, the parent of its trials on MLflow.
        name: The experiment's name.
        minutes: Those that it was given, over all its processes.
        seconds: Those that it took.
        images: Number of validation images.
        tried: In the order of the ladder.
        not_told_apart: The numbers of those that may be as good as the best: the paired test of
            their losses on the validation images does not tell them apart.
        retrained: Whether the winner's run was trained on the validation images too.
        winner: That run; None before the end.
        everything: The id of the run that was trained on all images; "" if none was asked for.
        artifacts: The study's folder.
    """

    study: str
    name: str
    minutes: float
    seconds: float
    images: int
    artifacts: str
    tried: list[Tried] = field(default_factory=list)
    not_told_apart: list[int] = field(default_factory=list)
    retrained: bool = False
    winner: Result | None = None
    everything: str = ""

    @property
    def folder(self) -> Path:
        return Path(self.artifacts)

    @property
    def best(self) -> Tried | None:
        """The best of what is done: the last that was better than all before it."""
        return next((one for one in reversed(self.tried) if one.better), None)

    def parts(self, one: Tried) -> list[Tried]:
        """The members of an ensemble, or the one itself."""
        return [self.tried[number] for number in one.members] or [one]

    def with_tried(self, one: Tried) -> "BestResult":
        """With one more entry, which replaces that with its number."""
        others = [each for each in self.tried if each.number != one.number]
        return replace(self, tried=sorted([*others, one], key=lambda each: each.number))

    def to_json(self) -> dict[str, Any]:
        """The winner's run as `run --json` gives it, with what was tried."""
        own = {name: value for name, value in asdict(self).items() if name != "winner"}
        run = self.winner.to_json() if self.winner else {}
        study = {name: own[name] for name in ("study", "minutes", "retrained", "everything")}
        tried = {name: own[name] for name in ("tried", "not_told_apart")}
        return {**run, **study, "study_seconds": self.seconds, **tried}

    def write(self) -> None:
        """Writes `best.json` into the study's folder."""
        table = {**asdict(self), "winner": self.winner and self.winner.to_json()}
        write_whole(self.folder / BEST, json.dumps(table, indent=2))

    @classmethod
    def read(cls, folder: Path) -> "BestResult":
        """Reads the `best.json` of a study's folder.

        Raises:
            InputError: It is none that this version reads.
        """
        file = folder / BEST
        try:
            found = json.loads(file.read_text("utf-8"))
            tried = [_tried(one) for one in found["tried"]]
            winner = found["winner"] and Result.of(found["winner"], str(file))
            return cls(**{**found, "tried": tried, "winner": winner, "artifacts": str(folder)})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"cannot read {file}: it is not the outcome of `best`.") from error

    def __repr__(self) -> str:
        rows: list[tuple[str, object]] = [("tried", len(self.tried))]
        if self.best:
            rows.append(
                ("best", f"{self.best.what}: validation accuracy {self.best.val_accuracy:.3f}")
            )
        if self.winner:
            rows.append(("winner", f"run {self.winner.run_id[:8]}"))
        title = f"best {self.study[:8]} · {self.name} · {self.seconds:.0f} s"
        return screen(title, first_rows([*rows, ("folder", self.artifacts)]))

    def _repr_html_(self) -> str:
        """The display in a notebook."""
        return kerascnn.as_html(self)


def _tried(found: dict[str, Any]) -> Tried:
    pairs = {name: found[name] and tuple(found[name]) for name in ("interval", "gain_interval")}
    rung = found["rung"] and Rung(**found["rung"])
    return Tried(**{**found, **pairs, "rung": rung, "members": tuple(found["members"])})
