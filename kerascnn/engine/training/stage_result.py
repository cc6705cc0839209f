"""What a stage did."""

from dataclasses import dataclass, field

from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.inputs import Cached
from kerascnn.engine.training.listener import Epoch


@dataclass(frozen=True)
class StageResult:
    name: str
    choice: str  # what was trained, in words
    epochs: int
    seconds: float  # of this run
    trained_seconds: float  # of the run that trained it
    trainable_parameters: int
    trainable_layers: list[str]
    boundary: str
    own: Standing  # of its best epoch; with `keep="last"`, of its last
    best_epoch: int  # whose score `own` is, from 1
    before: Standing | None  # of the weights that it started from; None for the first stage
    kept: bool  # false if the weights from before the stage were better
    prefix_seconds: float  # running the frozen prefix before the first step, or reading its cache
    fit_seconds: float  # training and validation; both of this run
    cached: Cached
    frozen_sha256: str  # of frozen weights and statistics, before and after
    ended_sha256: str  # of what is carried forward, the optimizer and random generators
    history: list[Epoch] = field(repr=False)
    accumulation: int = 1  # micro-batches of a batch
    reused_from: str | None = None  # the id of the run that trained it; None: this one

    @property
    def standing(self) -> Standing:
        """Validation score of the weights carried forward."""
        return self.own if self.kept or self.before is None else self.before

    @classmethod
    def from_state(cls, state: State) -> "StageResult":
        """From `dataclasses.asdict` of a result, in a checkpoint."""
        parts = {
            "own": Standing(**state["own"]),
            "before": state["before"] and Standing(**state["before"]),
            "cached": Cached(**state["cached"]),
            "history": [Epoch(**epoch) for epoch in state["history"]],
        }
        return cls(**{**state, **parts})
