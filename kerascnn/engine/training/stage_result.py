"""What a stage did."""

from dataclasses import dataclass, field

from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.inputs import Cached
from kerascnn.engine.training.listener import Epoch


@dataclass(frozen=True)
class StageResult:
    """What a stage did.

    Args:
        choice: What was trained, in words.
        own: Validation score of the stage's best epoch; with `keep="last"`, of its last.
        before: Validation score of the weights that the stage started from; None for the first.
        kept: False if the weights from before the stage were better and are carried forward.
        prefix_seconds: Running the frozen prefix before the first step, or reading its cache.
        fit_seconds: Training and validation.
        cached: How cached activations were used.
        frozen_sha256: Hash of the frozen weights and statistics, equal before and after the stage.
        ended_sha256: Hash of the final state: weights and statistics carried forward, optimizer,
            random generators.
    """

    name: str
    choice: str
    epochs: int
    seconds: float
    trainable_parameters: int
    trainable_layers: list[str]
    boundary: str
    own: Standing
    before: Standing | None
    kept: bool
    prefix_seconds: float
    fit_seconds: float
    cached: Cached
    frozen_sha256: str
    ended_sha256: str
    history: list[Epoch] = field(repr=False)

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
