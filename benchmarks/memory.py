"""What training a whole network takes of memory, beside the estimate that `kerascnn check` tells,
and its speed: of whole batches, or in micro-batches.

The peak of a process that checks the experiment, images packed and network built, is taken from
that of one that runs it.
"""

import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from common import KERASCNN, document, from_scratch, report, run, write_experiment

UNIT = 1 if sys.platform == "darwin" else 1024  # of the system's figure, in bytes


@click.command()
@click.option("--network", default="efficientnet_lite0", show_default=True)
@click.option("--image-size", default=160, show_default=True, help="Pixels.")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--accumulation", default=1, show_default=True, help="Micro-batches of a batch.")
@click.option("--backend", default="auto", show_default=True)
def main(**options: Any) -> None:
    """Measure both on rendered shapes."""
    experiment = from_scratch(
        options["network"],
        images=2 * options["batch_size"],
        size=options["image_size"],
        batch_size=options["batch_size"],
        gradient_accumulation=options["accumulation"],
        epochs=1,
        backend=options["backend"],
    )
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place), Path(place, "cache")
        file = write_experiment(folder, experiment)
        (stage,) = document([*KERASCNN, "check", file, "--json"], folder, cache)["stages"]
        base = _peak_of_children()
        (trained,) = run(folder, cache, file)["stages"]
        taken, estimate = _peak_of_children() - base, stage["memory_bytes"]
    figures = {"estimate_bytes": estimate, "taken_bytes": taken, "ratio": taken / estimate}
    speed = trained["images_per_second"]
    report("memory", {"settings": options, **figures, "images_per_second": speed})


def _peak_of_children() -> int:
    """The most bytes that one of this process's children has had in memory."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * UNIT


if __name__ == "__main__":
    main()
