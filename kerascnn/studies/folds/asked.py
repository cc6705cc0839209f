"""What a study of folds was asked, in its folder: enough to go on after it was killed."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.folds_result import FOLDS_PLAN
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.experiment.paths import read_from, written_to
from kerascnn.run.checkpointer import check_same, settings_of
from kerascnn.runtime.files import write_whole


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
        resolved = self.experiment.resolved
        written_to(folder, resolved, self.experiment.registry)
        own = {name: getattr(self, name) for name in ("k", "repeats", "tested", "backend")}
        write_whole(folder / FOLDS_PLAN, tomli_w.dumps({**own, "experiment": resolved}))

    @classmethod
    def read(cls, folder: Path, registry: Registry | None = None) -> "Asked":
        """What the study in a folder was asked."""
        own = tomllib.loads((folder / FOLDS_PLAN).read_text("utf-8"))
        registry, data = registry or load_registry(), own.pop("experiment")
        read_from(folder, data, registry, lambda warning: None)
        return cls(bind_experiment(data, registry), **own)

    def check(self, now: "Asked") -> None:
        """Raises ResumeError unless a study that resumes is asked the same."""
        check_same(self._decides(), now._decides())

    def _decides(self) -> dict[str, str]:
        own = {"number of folds": str(self.k), "repeats": str(self.repeats)}
        return {**own, "the images": self.tested, **settings_of(self.experiment.resolved)}
