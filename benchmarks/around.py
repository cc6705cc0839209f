"""What a run takes besides its data, frozen prefix, fit and test: imports, saving, report, …

Each round is `kerascnn run` as a process of its own, on a cache that a run has filled before.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import click
from common import environment, report

TIMED = """
import json, os, time
from kerascnn import cli
from kerascnn.cli import terminal
from kerascnn.run import runner
marks = {}
def timed(place, name):
    function = getattr(place, name)
    def call(*arguments, **named):
        marks[f"{name} begins"] = time.time()
        try:
            return function(*arguments, **named)
        finally:
            marks[f"{name} ends"] = time.time()
    setattr(place, name, call)
for name in ("evaluate", "record_result", "draw_report"):
    timed(runner, name)
for event in ("stage_started", "ended"):
    timed(terminal.Terminal, event)
first = terminal.Terminal.stage_started
def stage_started(self, stage):
    marks.setdefault("first stage", time.time())
    first(self, stage)
terminal.Terminal.stage_started = stage_started
try:
    cli.main()
finally:
    marks["main ends"] = time.time()
    with open(os.environ["KERASCNN_MARKS"], "w") as file:
        json.dump(marks, file)
"""


@click.command()
@click.argument("experiment", type=click.Path(exists=True, path_type=Path))
@click.option("--rounds", default=3, show_default=True)
@click.option("--python", "pythons", multiple=True, help="Interpreters; default this one.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="As for `run`.")
@click.option("--reuse", is_flag=True, help="Take trained stages from the cache, too.")
def main(
    experiment: Path,
    rounds: int,
    pythons: tuple[str, ...],
    overrides: tuple[str, ...],
    reuse: bool,
) -> None:
    """Run EXPERIMENT several times in turn with each interpreter; medians of the seconds by part.

    The first run of each fills its cache and is not counted.
    """
    settings = [word for one in overrides for word in ("--set", one)]
    words = [str(experiment.resolve()), *settings, *([] if reuse else ["--fresh"])]
    with tempfile.TemporaryDirectory() as place:
        folders = {python: Path(place, str(n)) for n, python in enumerate(pythons or PYTHON)}
        turns: dict[str, list[dict[str, float]]] = {python: [] for python in folders}
        for turn in range(rounds + 1):
            for python, folder in folders.items():
                folder.mkdir(exist_ok=True)
                parts = run(python, folder, words)
                turns[python] += [parts] if turn else []
    figures = {python: medians(parts) for python, parts in turns.items()}
    report("around", {"rounds": rounds, "seconds": figures if pythons else figures[sys.executable]})


PYTHON = (sys.executable,)


def run(python: str, folder: Path, words: list[str]) -> dict[str, float]:
    """Runs the experiment in the folder, which holds its cache; returns its seconds by part."""
    file = folder / "marks.json"
    own = environment(folder / "cache") | {"KERASCNN_MARKS": str(file)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    done = subprocess.run(
        [python, "-c", TIMED, "run", *words, "--json"],
        cwd=folder,
        env=own,
        capture_output=True,
        check=True,
    )
    end, after = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    parts = by_part(json.loads(done.stdout), json.loads(file.read_text()), start, end)
    return parts | {"processor": processor}


def by_part(result: dict[str, Any], marks: dict[str, float], start: float, end: float) -> Any:
    stages = [stage for stage in result["stages"] if not stage.get("reused_from")]
    work = {
        "data": result["data_seconds"],
        "prefix": sum(stage["prefix_seconds"] for stage in stages),
        "fit": sum(stage["fit_seconds"] for stage in stages),
        "test": marks["evaluate ends"] - marks["evaluate begins"],
    }
    staged = marks["evaluate begins"] - marks["first stage"]
    around = {
        "before the first stage": marks["first stage"] - start - work["data"],
        "between steps": staged - work["prefix"] - work["fit"],
        "saving": marks["record_result ends"] - marks["evaluate ends"],
        "report": marks["draw_report ends"] - marks["record_result ends"],
        "closing": marks["main ends"] - marks["draw_report ends"],
        "exit": end - marks["main ends"],
    }
    return {**around, **work, "around": sum(around.values()), "process": end - start}


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    return {part: round(median(turn[part] for turn in turns), 2) for part in turns[0]}


if __name__ == "__main__":
    main()
