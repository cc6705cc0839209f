"""What the path of several devices costs when there is one.

The same stage, everything unfrozen, in two processes, an epoch of one about an epoch of the other:
one trains as `training.devices = 1` does, the other in a group of processes that has this one
alone, as with `cluster.workers = 1`. With `--before`, the first is another checkout instead, such
as the one before there were several devices, and the second is this one with `training.devices =
1`. Both must end with the same weights to the bit. There are several rounds, as one process may be
faster than another that does the same.
"""

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any
from unittest.mock import patch

import click
import numpy as np
from common import HERE, environment, from_scratch, report, write_experiment

from kerascnn import Observer, load_experiment, run_experiment
from kerascnn.engine.training.devices.devices import Devices
from kerascnn.engine.training.devices.forming import LOOPBACK, lead, listen
from kerascnn.engine.training.devices.group import LEADER, Member
from kerascnn.engine.training.devices.together import Together
from kerascnn.experiment.cluster import Cluster


@click.command()
@click.option("--network", default="efficientnet_lite0", show_default=True)
@click.option("--backend", type=click.Choice(["jax", "torch"]), default="torch", show_default=True)
@click.option("--images", default=256, show_default=True)
@click.option("--image-size", default=96, show_default=True, help="Pixels.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--epochs", default=10, show_default=True, help="One more of each compiles.")
@click.option("--rounds", default=5, show_default=True, help="Each in new processes.")
@click.option("--before", type=click.Path(exists=True, path_type=Path), help="Another checkout.")
@click.option("--here", type=click.Path(path_type=Path), hidden=True)
@click.option("--spread", is_flag=True, hidden=True)
def main(before: Path | None, here: Path | None, spread: bool, **options: Any) -> None:
    """Time both in turn; the goal is a ratio of 1.01 or less."""
    if here:
        train(here, spread)
        return
    named = {name: options[name] for name in ("images", "batch_size", "epochs", "backend")}
    experiment = from_scratch(options["network"], size=options["image_size"], **named)
    seconds = [
        one_round(experiment, options["epochs"], before) for _ in range(options["rounds"])
    ]  # [rounds, epochs, 2]
    ratios = [median(other / plain for plain, other in epochs) for epochs in seconds]
    figures = {
        "ratio": mean(ratios),
        "standard_error": stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else None,
        "ratios": ratios,
        "least": np.min(seconds, axis=(0, 1)).tolist(),
    }
    report("devices", {"settings": {**options, "before": str(before or "")}, **figures})


def one_round(
    experiment: dict[str, Any], epochs: int, before: Path | None
) -> list[tuple[float, float]]:
    """The seconds of each epoch, of the plain way and of the other, in two new processes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        file = write_experiment(folder, experiment)
        plain = Turns(file, folder / "plain", [], before)
        other = Turns(file, folder / "other", [] if before else ["--spread"])
        seconds = [in_turn(plain, other, number % 2) for number in range(epochs + 1)]
        if plain.next() != other.next():
            raise click.ClickException("they end with different weights")
    return seconds[1:]


class Turns:
    """A run in a process of its own, which waits for a line before each epoch but the first."""

    def __init__(self, file: Path, folder: Path, words: list[str], before: Path | None = None):
        folder.mkdir()
        own = {"PYTHONPATH": str(before)} if before else {}
        self._process: Any = subprocess.Popen(
            [sys.executable, HERE / "devices.py", "--here", file, *words],
            env={**environment(folder / "cache"), **own},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._first = True

    def next(self) -> Any:
        """The seconds of the next epoch; after the last one, the hash of the weights."""
        if not self._first:
            print(file=self._process.stdin, flush=True)
        self._first = False
        if not (line := self._process.stdout.readline()):
            raise click.ClickException("a process has failed; its error is above")
        return json.loads(line)


def in_turn(plain: Turns, other: Turns, other_first: int) -> tuple[float, float]:
    """The seconds of an epoch of both; who comes first changes, as that may matter."""
    if not other_first:
        return plain.next(), other.next()
    of_other = other.next()
    return plain.next(), of_other


class Waits(Observer):
    def epoch(self, epoch: Any, total: int) -> None:
        print(json.dumps(epoch.metrics["seconds"]), flush=True)
        sys.stdin.readline()


def train(file: Path, spread: bool) -> None:
    experiment = load_experiment(file)
    with ExitStack() as stack:
        if spread:
            from kerascnn.run.stages import processes

            plain = processes.OneProcess
            stack.enter_context(patch.object(processes, "OneProcess", lambda _: plain(alone())))
        result = run_experiment(experiment, Waits(), fresh=True)
    print(json.dumps(result.stages[-1]["ended_sha256"]), flush=True)


def alone() -> Devices:
    """A group of this process alone, with one device."""
    listener = listen(LOOPBACK)
    member = Member(LEADER, 1, listener.getsockname(), "token", Cluster().heartbeat_seconds, 1)
    return Together(lead(listener, member), 1)


if __name__ == "__main__":
    main()
