"""The best classifier of a folder or an experiment, from Python; the story is in `story`."""

import os
from collections.abc import Iterable
from pathlib import Path

from kerascnn.components.registry import load_registry
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError
from kerascnn.experiment.load import load_experiment
from kerascnn.runtime.arguments import as_list, expect
from kerascnn.studies.best.asked import Asked
from kerascnn.studies.best.folder import folder_experiment
from kerascnn.studies.best.networks import networks_to_try
from kerascnn.studies.best.result import BestResult
from kerascnn.studies.best.story import find_best_classifier

MINUTES = 3.0


def best_classifier(
    source: str | os.PathLike[str],
    minutes: float = MINUTES,
    observer: Observer | None = None,
    *,
    networks: str | Iterable[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    all_images: bool = False,
    seed: int | None = None,
    backend: str | None = None,
) -> BestResult:
    """Finds the best classifier within a time; it is a run like any other.

    Args:
        source: A folder of images, or the TOML file of an experiment, whose network and stages are
            replaced.
        minutes: The time to use, above 0.
        observer: Receives progress events, of the study if it is a `BestObserver`; default prints
            them on standard error; `Observer()` shows nothing.
        networks: Architectures to try, the first ones first; default those with pretrained weights
            that need no download.
        labels: A table of the folder's images and their labels.
        all_images: In the end also train on all images, the test images included.
        seed: Default that of the experiment, or 0.
        backend: "tensorflow", "jax" or "torch"; default that of the experiment.

    Returns:
        What was tried, and the `winner`, which is the result of its run.

    Raises:
        InputError: The images or an argument are at fault.
        RunError: Nothing could be trained in the time.
    """
    expect(source, (str, os.PathLike), "source", " Give a folder of images or a TOML file.")
    expect(minutes, (int, float), "minutes")
    if not minutes > 0:
        raise InputError(f"minutes: expected a number above 0, not {minutes:g}.")
    chosen = {"training.backend": backend, "seed": seed}
    changes = {key: value for key, value in chosen.items() if value is not None}
    registry = load_registry()
    if Path(source).is_file():
        if labels:
            raise InputError("labels belong to a folder; an experiment has its own dataset.")
        experiment = load_experiment(Path(source), changes, registry)
    else:
        table = None if labels is None else Path(labels)
        experiment = folder_experiment(Path(source), registry, labels=table)
        experiment = experiment.with_overrides(changes)
    names = None if networks is None else as_list(networks, str, "networks")
    asked = Asked(experiment, all_images, networks_to_try(names, registry))
    return find_best_classifier(asked, minutes, observer)
