"""Start-up: `--help`, `check`, and until the first training step; beside plain imports.

Medians of several rounds, in which the commands take turns; wall-clock and processor seconds.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click
from common import KERASCNN, environment, from_scratch, report, write_experiment

UNTIL_FIRST_STEP = (
    "import os; from kerascnn.cli import main, terminal; "
    "terminal.Terminal.step = lambda *_: os._exit(0); main()"
)


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--only", "names", multiple=True, help="Names of rows; default all.")
def main(rounds: int, names: tuple[str, ...]) -> None:
    """Time the commands in turn; a ratio is by the import that is their least."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        experiment = from_scratch("sequential_cnn", images=48, size=32, batch_size=16, epochs=1)
        rows = commands(write_experiment(folder, experiment))
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in names or rows}
        for number in range(rounds):
            for name in spent:
                # a round has a folder of its own, so its "first step" finds nothing there
                spent[name].append(spend(rows[name], folder / str(number)))
    figures = {name: seconds(turns) for name, turns in spent.items()}
    report("startup", {"rounds": rounds, "rows": figures, "ratios": ratios(figures)})


def commands(file: Path) -> dict[str, list[str]]:
    first_step = [sys.executable, "-c", UNTIL_FIRST_STEP, "run", str(file)]
    return {
        "import click": [sys.executable, "-c", "import click"],
        "import keras": [sys.executable, "-c", "import keras"],
        "--help": [*KERASCNN, "--help"],
        "first step": first_step,
        "first step again": first_step,
        "check": [*KERASCNN, "check", str(file)],
    }


def spend(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall-clock and processor seconds of a command with that folder's cache and runs."""
    folder.mkdir(exist_ok=True)
    own = environment(folder / "cache")
    before, start = processor_seconds(), time.perf_counter()
    subprocess.run(command, cwd=folder, env=own, capture_output=True, check=True)
    return time.perf_counter() - start, processor_seconds() - before


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(turns: list[tuple[float, float]]) -> dict[str, float]:
    wall, processor = zip(*turns, strict=True)
    return {"seconds": median(wall), "processor_seconds": median(processor)}


def ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """Processor seconds by those of the import that a command cannot do without."""
    least = {"--help": "import click", "check": "import keras", "first step again": "import keras"}
    return {
        f"{name} by {base}": figures[name]["processor_seconds"] / figures[base]["processor_seconds"]
        for name, base in least.items()
        if {name, base} <= figures.keys()
    }


if __name__ == "__main__":
    main()
