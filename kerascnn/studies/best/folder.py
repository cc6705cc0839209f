"""The experiment of a folder of images, or of a file, whose network and stages `best` replaces."""

import os
from pathlib import Path

from kerascnn.components.registry import Registry
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.run.init import allowed_name, folder_dataset

VALIDATION = 0.2
"""Of the images that do not test: what is tried is judged by them; the best is trained on them."""


def folder_experiment(
    folder: Path, registry: Registry, *, labels: Path | None = None, follow_links: bool = False
) -> BoundExperiment:
    """The experiment of a folder of images, those that cannot be read left out.

    Args:
        labels: A table of the folder's images and their labels.
        follow_links: Follow symbolic links out of the folder.
    """
    dataset = folder_dataset(folder, follow_links, labels, registry)
    tested = dataset.get("test_fraction", 0.1)
    validation = {"validation_fraction": round(VALIDATION * (1 - tested), 3)}
    return bind_experiment(
        {
            "name": allowed_name(os.path.basename(os.path.abspath(folder))),
            "dataset": dataset | validation,
            "architecture": {"name": "sequential_cnn"},
            "training": {
                "crop_margin": 0.075,
                "on_bad_image": "skip",
                "on_duplicate": "skip",
            },
            "stages": [{"name": "head", "unfreeze": "head", "epochs": 1, "learning_rate": 1e-3}],
        },
        registry,
    )
