"""The packed images and the frozen prefix of one experiment, made by one process and by several.

All start on one empty cache, each on one core, and thus with one thread; the same work by one of
them and by all in turn. Each has its backend loaded and its prefix ready, after a batch of its own,
when the time starts; it ends when the last process has all. The images are rendered, no two alike.
Fails unless each row was computed once, and all processes read the same bits.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
from common import HERE, architecture, environment, report, write_experiment
from rendered import splits_of, write_folder

BATCH_SIZE = 32
PARTS = ("packing", "prefix")


@click.command()
@click.option("--images", default=3000, show_default=True)
@click.option("--network", default="efficientnet_lite0", show_default=True)
@click.option("--image-size", default=160, show_default=True, help="Pixels.")
@click.option("--processes", default=2, show_default=True, help="At most a core for each.")
@click.option("--rounds", default=3, show_default=True, help="Of each; medians are reported.")
@click.option("--backend", default="auto", show_default=True)
@click.option("--here", nargs=2, type=(click.Path(path_type=Path), int), hidden=True)
def main(here: tuple[Path, int] | None, **options: Any) -> None:
    """Measure both in turn; the goal is a ratio of at least 1.8 with two processes."""
    if here:
        rank(*here)
        return
    counts = (1, options["processes"])
    seconds: dict[str, dict[int, list[float]]] = {part: {n: [] for n in counts} for part in PARTS}
    shares = dict[str, list[int]]()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for split, files in splits_of(options["images"], BATCH_SIZE * options["processes"]):
            write_folder(folder / "images", split, files)
        file = write_experiment(folder, experiment(folder / "images", options))
        found = set[tuple[str, ...]]()
        for number in range(options["rounds"]):
            for count in counts:
                ranks = Ranks(file, folder / f"cache {count} {number}", count)
                for part, (taken, made, hashes) in ranks.measured(options["images"]).items():
                    seconds[part][count].append(taken)
                    found.add((part, *hashes))
                    shares[part] = made
    if len(found) != len(PARTS):
        raise click.ClickException(f"the processes differ: {sorted(found)}")
    figures = {
        part: {
            "ratio": median(of[1]) / median(of[options["processes"]]),
            "images_per_second": options["images"] / median(of[1]),
            "seconds": of,
            "rows_of_each": shares[part],
        }
        for part, of in seconds.items()
    }
    report("ranks", {"settings": options, **figures})


def experiment(images: Path, options: dict[str, Any]) -> dict[str, Any]:
    training = {"image_size": options["image_size"], "backend": options["backend"]}
    return {
        "name": "ranks",
        "dataset": {"name": "image_folder", "path": str(images)},
        "architecture": architecture(options["network"], "none"),
        "training": {**training, "batch_size": BATCH_SIZE},
        "stages": [{"name": "head", "unfreeze": "head", "epochs": 1, "learning_rate": 1e-3}],
    }


class Ranks:
    """Processes that make the same on one cache; each waits for a line before each part."""

    def __init__(self, file: Path, cache: Path, count: int) -> None:
        cores = sorted(os.sched_getaffinity(0))  # with fewer than processes the times say nothing
        self._processes: list[Any] = [
            subprocess.Popen(
                [sys.executable, HERE / "ranks.py", "--here", str(file), str(number)],
                preexec_fn=partial(os.sched_setaffinity, 0, [cores[number % len(cores)]]),
                env=environment(cache),
                cwd=file.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(count)
        ]

    def measured(self, images: int) -> dict[str, tuple[float, list[int], set[str]]]:
        """Of each part the seconds until all have all images, how many each has made, and the
        hashes of what they have.
        """
        figures = {}
        for part in PARTS:
            self._told("ready")
            start = time.perf_counter()
            for process in self._processes:
                print(file=process.stdin, flush=True)
            made = self._told("made")
            taken = time.perf_counter() - start
            if sum(made) != images:
                raise click.ClickException(f"{part}: {made} rows were computed for {images} images")
            figures[part] = (taken, made, set(self._told("sha256")))
        for process in self._processes:
            process.wait()
        return figures

    def _told(self, what: str) -> list[Any]:
        lines = [process.stdout.readline() for process in self._processes]
        if not all(lines):
            raise click.ClickException("a process has failed; its error is above")
        return [json.loads(line)[what] for line in lines]


def rank(file: Path, number: int) -> None:
    """One of the processes."""
    from kerascnn import Observer, load_experiment
    from kerascnn.engine.load import load_data
    from kerascnn.engine.network.boundary import cut
    from kerascnn.engine.network.freezing import set_trainable
    from kerascnn.engine.prepare import prepare_experiment
    from kerascnn.engine.training.listener import Listener
    from kerascnn.engine.training.views import PrefixRuns, run_prefix

    bound = load_experiment(file)
    timed(lambda: ((found := load_data(bound, Observer()).train).images, found.made))
    prepared = prepare_experiment(bound, Observer())
    (plan,), model = prepared.plans, prepared.network.model
    set_trainable(model, plan.layers, plan.batchnorm)
    parts, (train, validation) = cut(model), prepared.examples(plan)
    rows = slice(BATCH_SIZE * number, BATCH_SIZE * (number + 1))
    warm = replace(
        validation,
        inputs=validation.inputs[rows],
        labels=validation.labels[rows],
        digests=validation.digests[rows],
    )

    def use(runs: PrefixRuns) -> None:
        runs.images(warm)
        before = runs.made
        timed(lambda: (runs.images(train), runs.made - before))

    run_prefix(parts.prefix, parts.boundary, plan, len(train), Listener(), use)


def timed(work: Callable[[], tuple[Any, int]]) -> None:
    """Does it when told to; says how many rows it has made, and what all rows hash to."""
    tell(ready=True)
    sys.stdin.readline()
    rows, made = work()
    tell(made=made)
    digest = hashlib.sha256()
    for row in range(len(rows)):
        digest.update(rows[row].tobytes())
    tell(sha256=digest.hexdigest())


def tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
