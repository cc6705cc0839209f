"""Trials of a classifier on stored activations, in one or more processes.

Rate, weight decay, smoothing, dropout and optimizer are drawn at random. Each process has one
session; a trial's seconds are those of this process and of its processor. "own" is what is left of
a trial without its data, the frozen prefix, fit and validation; "processor_seconds_around" what it
takes before and after its stage, data included, by the processor's clock, which does not count what
other processes do.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from common import environment, report, write_experiment

OPTIMIZERS = ("adam", "adamw", "sgd", "lion")


@click.command()
@click.argument("images", type=click.Path(exists=True, file_okay=False, resolve_path=True))
@click.option("--network", default="efficientnet_lite0", show_default=True)
@click.option("--size", type=int, default=160, show_default=True)
@click.option("--epochs", type=int, default=5, show_default=True)
@click.option("--trials", type=int, default=100, show_default=True, help="Of all processes.")
@click.option("--processes", type=int, default=2, show_default=True)
@click.option("--part", type=int, hidden=True, help="The number of this process.")
def main(images: str, part: int | None, **asked: Any) -> None:
    """Run trials on the class folders IMAGES, after one that stores the activations."""
    if part is not None:
        click.echo(json.dumps(run_part(images, part, asked)))
        return
    with tempfile.TemporaryDirectory() as place:
        env = environment(Path(place, "cache"))
        one = {**asked, "trials": 1, "processes": 1}
        first = rows_of(begin(images, place, env, one, 0))
        start = time.perf_counter()
        count = asked["processes"]
        begun = [begin(images, place, env, asked, number) for number in range(count)]
        parts = [rows_of(process) for process in begun]
        seconds = time.perf_counter() - start
    trials = [trial for rows in parts for trial in rows]
    later = [trial for rows in parts for trial in rows[1:]] or trials
    keys = (
        *("seconds", "processor_seconds", "processor_seconds_around"),
        *("prepare", "prefix", "fit", "own", "rows"),
    )
    report(
        "trials",
        {
            **asked,
            "seconds": seconds,
            "first": first[0],
            "after_the_first": {
                key: statistics.median(trial[key] for trial in later) for key in keys
            },
            "rows_computed": sum(trial["rows"] for trial in trials),
            "most_own": max(trial["own"] for trial in later),
        },
    )


def begin(
    images: str, place: str, env: dict[str, str], asked: dict[str, Any], part: int
) -> subprocess.Popen[bytes]:
    """Starts a process with its share of the trials."""
    options = [word for key, value in asked.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, __file__, images, *options, "--part", str(part)]
    return subprocess.Popen(command, cwd=place, env=env, stdout=subprocess.PIPE)


def rows_of(process: subprocess.Popen[bytes]) -> list[dict[str, float]]:
    shown, _ = process.communicate()
    if process.returncode:
        raise click.ClickException("a process with trials failed")
    return json.loads(shown)


def run_part(images: str, part: int, asked: dict[str, Any]) -> list[dict[str, float]]:
    """This process's trials: for each its seconds by part."""
    from kerascnn import load_experiment
    from kerascnn.engine.observer import Only
    from kerascnn.run.session import Session
    from kerascnn.run.trial import run_trial

    file = write_experiment(Path.cwd(), experiment(images, asked))
    rows = []
    with Session() as session:
        for number in range(part, asked["trials"], asked["processes"]):
            drawn = load_experiment(file, draw(number))
            folder = Path.cwd() / "kerascnn-runs" / f"{asked['trials']}" / "trials" / f"{number}-0"
            heard = Parts()
            observer = Only(
                prepared=heard.prepared, stage_started=heard.started, stage_ended=heard.ended
            )
            processor = time.process_time()
            result = run_trial(drawn, observer, session=session, folder=folder)
            (stage,) = result.stages
            rows.append(
                {
                    "seconds": result.seconds,
                    "processor_seconds": time.process_time() - processor,
                    "processor_seconds_around": heard.began - processor + heard.processor_since(),
                    "prepare": heard.seconds,
                    "prefix": stage.prefix_seconds,
                    "fit": stage.fit_seconds,
                    "own": result.seconds
                    - heard.data_seconds
                    - stage.prefix_seconds
                    - stage.fit_seconds,
                    "rows": stage.cached.made,
                }
            )
    return rows


class Parts:
    """When a trial was prepared, and when its stage began and ended."""

    def __init__(self) -> None:
        self._start, self.seconds, self.data_seconds = time.perf_counter(), 0.0, 0.0
        self.began = self._done = 0.0  # by the processor's clock

    def started(self, stage: Any) -> None:
        self.began = time.process_time()

    def ended(self, result: Any) -> None:
        self._done = time.process_time()

    def processor_since(self) -> float:
        """Seconds of the processor since the stage ended."""
        return time.process_time() - self._done

    def prepared(self, overview: Any) -> None:
        self.seconds, self.data_seconds = time.perf_counter() - self._start, overview.data_seconds


def experiment(images: str, asked: dict[str, Any]) -> dict[str, Any]:
    stage = {"name": "head", "epochs": asked["epochs"], "learning_rate": 1e-3}
    return {
        "name": "trials",
        "dataset": {"name": "image_folder", "path": images},
        "architecture": {"name": asked["network"]},
        "training": {"image_size": asked["size"]},
        "stages": [{**stage, "augmentation": False}],
    }


def draw(number: int) -> dict[str, Any]:
    """What a trial changes; the first is that of every process."""
    rng = random.Random(number)
    return {
        "stages.head.learning_rate": 10 ** rng.uniform(-4, -2),
        "stages.head.weight_decay": 10 ** rng.uniform(-5, -2),
        "stages.head.label_smoothing": rng.uniform(0, 0.2),
        "stages.head.optimizer": rng.choice(OPTIMIZERS),
        "architecture.dropout": rng.uniform(0, 0.5),
    }


if __name__ == "__main__":
    main()
