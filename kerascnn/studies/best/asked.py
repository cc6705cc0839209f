"""What a study was asked, in its folder: enough to go on after it was killed."""

from dataclasses import dataclass
from pathlib import Path

from kerascnn.components.registry import Registry
from kerascnn.engine.result.run import BEST_PLAN
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.studies.plan import read_plan, write_plan


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
        own = {"all_images": self.all_images, "networks": list(self.networks)}
        write_plan(folder / BEST_PLAN, self.experiment, own)

    @classmethod
    def read(cls, folder: Path, registry: Registry | None = None) -> "Asked":
        """What the study in a folder was asked."""
        experiment, own = read_plan(folder / BEST_PLAN, registry)
        return cls(experiment, own["all_images"], tuple(own["networks"]))
