"""What a study was asked, in its folder: enough to go on after it was killed."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.result import BEST_PLAN
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.experiment.paths import read_from, written_to
from kerascnn.runtime.files import write_whole


@dataclass(frozen=True)
class Asked:
    """What a study was asked.

    Args:
        experiment: Has the images, the seed and the backend; its network and stages are replaced.
        all_images: Whether the best is trained on all images too.
        networks: The architectures to try, the first ones first.
    """

    experiment: BoundExperiment
    all_images: bool
    networks: tuple[str, ...]

    def write(self, folder: Path) -> None:
        resolved = self.experiment.resolved
        written_to(folder, resolved, self.experiment.registry)
        own = {"all_images": self.all_images, "networks": list(self.networks)}
        write_whole(folder / BEST_PLAN, tomli_w.dumps({**own, "experiment": resolved}))

    @classmethod
    def read(cls, folder: Path, registry: Registry | None = None) -> "Asked":
        """What the study in a folder was asked."""
        own = tomllib.loads((folder / BEST_PLAN).read_text("utf-8"))
        registry, data = registry or load_registry(), own["experiment"]
        read_from(folder, data, registry, lambda warning: None)
        bound = bind_experiment(data, registry)
        return cls(bound, own["all_images"], tuple(own["networks"]))
