"""What a study was asked, in its folder: enough to go on after it was killed."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.result import BEST_PLAN
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.experiment.paths import read_from, written_to
from kerascnn.results.find import runs_folder
from kerascnn.runtime.commands import command
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


def find_best(study: str) -> Path:
    """The folder of a study by its id, a unique prefix of it, or "last".

    Raises:
        InputError: There is none, or more than one.
    """
    files = sorted(runs_folder().glob(f"*/{BEST_PLAN}"), key=lambda file: file.stat().st_mtime)
    if study == "last":
        if not files:
            again = command("best", "FOLDER")
            raise InputError(f"no study in {runs_folder()} yet; begin one with `{again}`.")
        return files[-1].parent
    found = [file.parent for file in files if study and file.parent.name.startswith(study)]
    if len(found) == 1:
        return found[0]
    ids = ", ".join(folder.name[:12] for folder in found)
    which = f"matches {len(found)} studies: {ids}" if found else "matches none"
    raise InputError(f'the study "{study}" {which} in {runs_folder()}.')
