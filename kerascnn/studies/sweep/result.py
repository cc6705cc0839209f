"""The outcome of a sweep: its trials, and the winner."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import kerascnn
from kerascnn.engine.result.run import SWEEP, Result
from kerascnn.errors import InputError
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.screen import first_rows, screen
from kerascnn.runtime.text import counted
from kerascnn.runtime.toml import as_toml


@dataclass(frozen=True)
class Trial:
    """One setting of a sweep.

    Args:
        number: From 0, in the order in which the trials were drawn.
        state: "complete", "pruned", "failed", "running" or "waiting".
        value: The metric on the validation images, at its end or when it was pruned; with several
            seeds their mean.
        interval: 95% interval of the value.
        params: What was tried, by dotted key.
        seconds: From its start to its end, over all attempts.
        run_id: MLflow's id; with several seeds that of the first one.
        epochs: Trained, over all stages and seeds.
        history: The metric after each epoch.
        reason: Why it was pruned or failed; "" if it was not.
        ended: Time of the end (UTC), in ISO 8601; "" if it has not ended.
    """

    number: int
    state: str
    value: float | None
    interval: tuple[float, float] | None
    params: dict[str, Any]
    seconds: float | None
    run_id: str | None
    epochs: int
    history: list[float]
    reason: str
    ended: str


@dataclass(frozen=True)
class SweepResult:
    """All trials of a sweep, judged on the same validation images, and the winner.

    Args:
        study: The sweep's id, which is MLflow's id of the trials' parent.
        name: The experiment's name.
        metric: What the trials are judged by, such as "val_accuracy".
        greater_is_better: Whether a greater value of it is better.
        images: Number of validation images.
        space: What is tried, by dotted key, as in the file.
        trials: In the order of their numbers.
        best: The complete trial with the best value; None if there is none.
        not_told_apart: Numbers of the trials that the paired test cannot tell from the best.
        optimism: By how much the best trial's value is expected to exceed its true value, because
            it is the best of all; None with fewer than two complete trials.
        importance: The share of each key in the variance of the values, 1 in total; empty with few
            complete trials, or if none is told apart from the best: they differ by chance.
        winner: The best trial run in full and judged once on the test images; None if the sweep
            has not ended.
        seconds: From the start to the end, the pauses before `--resume` left out.
        settings: Its trials, minutes, sampler, pruner, seeds and workers.
        artifacts: The sweep's folder.
    """

    study: str
    name: str
    metric: str
    greater_is_better: bool
    images: int
    space: dict[str, Any]
    trials: list[Trial]
    best: Trial | None
    not_told_apart: list[int]
    optimism: float | None
    importance: dict[str, float]
    winner: Result | None
    seconds: float
    settings: dict[str, Any]
    artifacts: str

    @property
    def folder(self) -> Path:
        return Path(self.artifacts)

    def counts(self) -> dict[str, int]:
        """The number of trials in each state that occurs."""
        states = [trial.state for trial in self.trials]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    def to_json(self) -> dict[str, Any]:
        best = self.best and {"number": self.best.number, "params": self.best.params}
        winner = self.winner and self.winner.to_json()
        return {**asdict(self), "best": best, "winner": winner}

    def write(self) -> None:
        """Writes `sweep.json` into the sweep's folder."""
        write_whole(self.folder / SWEEP, json.dumps(self.to_json(), indent=2))

    @classmethod
    def read(cls, file: Path) -> "SweepResult":
        """Reads a `sweep.json`.

        Raises:
            InputError: It is none that this version reads.
        """
        try:
            found = json.loads(file.read_text("utf-8"))
            trials = [Trial(**{**one, "interval": _pair(one)}) for one in found["trials"]]
            best = found["best"] and found["best"]["number"]
            winner = found["winner"] and Result.of(found["winner"], str(file))
            return cls(
                **{
                    **found,
                    "trials": trials,
                    "best": next((trial for trial in trials if trial.number == best), None),
                    "winner": winner,
                    "artifacts": str(file.parent),
                }
            )
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"cannot read {file}: it is not the outcome of a sweep.") from error

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {state}" for state, count in self.counts().items())
        rows: list[tuple[str, object]] = [("trials", counts or "none")]
        if self.best:
            tried = ", ".join(f"{key}={as_toml(value)}" for key, value in self.best.params.items())
            rows.append(("best", f"{self.metric} {self.best.value:.4f} with {tried}"))
        if self.not_told_apart:
            rows.append(("", f"not told apart from {counted(len(self.not_told_apart), 'trial')}"))
        if self.winner:
            rows.append(("winner", f"run {self.winner.run_id[:8]}"))
        title = f"sweep {self.study[:8]} · {self.name} · {self.seconds:.0f} s"
        return screen(title, first_rows([*rows, ("folder", self.artifacts)]))

    def _repr_html_(self) -> str:
        """The display in a notebook."""
        return kerascnn.as_html(self)


def _pair(trial: dict[str, Any]) -> tuple[float, float] | None:
    return tuple(trial["interval"]) if trial["interval"] else None
