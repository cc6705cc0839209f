"""An augmentation of the host: its images a second, and what it costs a stage.

Alone: batches of photographs in this process, and in one and two worker processes, in turn. In a
stage: the head of a network on the same photographs, with it and with a built-in augmentation, new
images in every step and with views, each in a process of its own and with another seed in every
round, so that no views are cached.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import click
import numpy as np
from common import KERASCNN, architecture, document, report, run, shuffled_classes, write_experiment

HOST_AUGMENT = "kerascnn.engine.data.batches.host_augment"
KEY = (0, 0, 1, 1)  # of a batch: seed, stage, epoch, step


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--augmentation", default="albumentations", show_default=True)
@click.option("--against", default="light", show_default=True)
@click.option("--network", default="efficientnet_lite0", show_default=True)
@click.option("--weights", default="imagenet", show_default=True)
@click.option("--images", default=120, show_default=True, help="Per class.")
@click.option("--image-size", default=160, show_default=True, help="Pixels.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--epochs", default=4, show_default=True)
@click.option("--views", default=2, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(data: Path, augmentation: str, against: str, **options: Any) -> None:
    """Time it alone and in stages, on photographs in class folders."""
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place, "photos")
        draw(data, photos, options["images"])
        figures = alone(augmentation, photos, options)
        stages = in_stages((against, augmentation), Path(place), options)
    report("host_augmentation", {"settings": options, "alone": figures, "stages": stages})


def draw(source: Path, target: Path, per_class: int) -> None:
    for name, files in shuffled_classes(source, 0):
        (target / name).mkdir(parents=True)
        for file in files[:per_class]:
            shutil.copy(file, target / name)


def alone(name: str, photos: Path, options: dict[str, Any]) -> dict[str, float]:
    """Images a second by where they are augmented: the median of the rounds."""
    from kerascnn.components.registry import load_registry
    from kerascnn.engine.data.batches.host_augment import Host, _pickled, _Processes, generators_of
    from kerascnn.engine.data.decoding.preparation import Preparation

    size, count = options["image_size"], options["batch_size"]
    files = sorted(file for file in photos.rglob("*") if file.is_file())
    images = np.stack([Preparation(size).prepare(file) for file in files])
    batches = [images[first : first + count] for first in range(0, len(images), count)]
    bound = load_registry().get("augmentation", name).bind({})
    host = Host(bound.build(image_size=size, num_classes=2), name)

    def seconds(augment: Callable[..., Any]) -> float:
        for batch in batches:  # until every process has started and imported the library
            augment(batch, generators_of(KEY, len(batch)))
        start = time.perf_counter()
        for batch in batches:
            augment(batch, generators_of(KEY, len(batch)))
        return time.perf_counter() - start

    found: dict[str, list[float]] = {"this process": [], "1 process": [], "2 processes": []}
    for _ in range(options["rounds"]):
        found["this process"].append(seconds(host))
        for cores, label in ((1, "1 process"), (2, "2 processes")):
            with (
                patch("kerascnn.runtime.workers.available_cores", lambda cores=cores: cores),
                patch(
                    "kerascnn.engine.data.batches.host_augment.available_cores",
                    lambda cores=cores: cores,
                ),
            ):
                found[label].append(seconds(_Processes(host, _pickled(host))))
    return {label: len(images) / median(times) for label, times in found.items()}


def in_stages(names: tuple[str, str], folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Seconds of an epoch without views, and of a view, by augmentation; and their ratios."""
    cache, file = folder / "cache", write_experiment(folder, head(folder / "photos", options))
    document([*KERASCNN, "check", file, "--json"], folder, cache)  # packs the images
    found: dict[str, dict[str, list[float]]] = {"epoch": {}, "view": {}}
    for seed in range(1, options["rounds"] + 1):
        for name in names:
            seeded = (file, "--set", f"seed={seed}", "--set", f"augmentation={name}")
            epochs = run(folder, cache, *seeded)["history"]
            kept = [epoch["seconds"] for epoch in epochs[1:]]  # the first compiles
            found["epoch"].setdefault(name, []).append(median(kept))
            anew = ("--set", f"training.view_seed={seed}")
            views = run(
                folder, cache, *seeded, *anew, "--set", f"stages.0.views={options['views']}"
            )
            seconds = views["stages"][0]["prefix_seconds"] / options["views"]
            found["view"].setdefault(name, []).append(seconds)
    against, name = names
    ratios = {
        what: [ours / theirs for ours, theirs in zip(times[name], times[against], strict=True)]
        for what, times in found.items()
    }
    return {"seconds": found, "ratios": ratios}


def head(photos: Path, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "host",
        "dataset": {"name": "image_folder", "path": str(photos)},
        "architecture": architecture(options["network"], options["weights"]),
        "training": {
            "image_size": options["image_size"],
            "batch_size": options["batch_size"],
            "keep": "last",
        },
        "stages": [{"name": "head", "epochs": options["epochs"], "learning_rate": 1e-3}],
    }


if __name__ == "__main__":
    main()
