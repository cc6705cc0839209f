"""What a study of folds was asked, in its folder: enough to go on after it was killed."""

from dataclasses import dataclass
from pathlib import Path

from kerascnn.components.registry import Registry
from kerascnn.engine.result.folds import FOLDS_PLAN
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.run.stages.checkpointer import check_same, settings_of
from kerascnn.studies.plan import read_plan, write_plan


@dataclass(frozen=True)
class Asked:
    """What a study of folds was asked.

    Args:
        k: Number of folds.
        repeats: How often the images are divided.
        tested: Hash of the images and labels, in their order.
        backend: That it began on.
    """

    experiment: BoundExperiment
    k: int
    repeats: int
    tested: str
    backend: str

    def write(self, folder: Path) -> None:
        own = {name: getattr(self, name) for name in ("k", "repeats", "tested", "backend")}
        write_plan(folder / FOLDS_PLAN, self.experiment, own)

    @classmethod
    def read(cls, folder: Path, registry: Registry | None = None) -> "Asked":
        """What the study in a folder was asked."""
        experiment, own = read_plan(folder / FOLDS_PLAN, registry)
        return cls(experiment, **own)

    def check(self, now: "Asked") -> None:
        """Raises ResumeError unless a study that resumes is asked the same."""
        check_same(self._decides(), now._decides())

    def _decides(self) -> dict[str, str]:
        own = {"number of folds": str(self.k), "repeats": str(self.repeats)}
        return {**own, "the images": self.tested, **settings_of(self.experiment.resolved)}
