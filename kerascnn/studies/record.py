"""Records a study that trains nothing as a run: its result as JSON, its figure and other files."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from kerascnn.engine.observer import Observer, optional
from kerascnn.results.lookup import runs_folder
from kerascnn.tracking.tracker import Tracker

Result = TypeVar("Result")


def record(
    experiment: str,
    title: str,
    stem: str,
    make: Callable[[str, Path], Result],
    draw: Callable[[Any], Any],
    metrics: Callable[[Any], Mapping[str, float]],
    observer: Observer,
    write: Callable[[Any, Path], Iterable[Path]] = lambda done, folder: (),
) -> Result:
    """Opens a run, makes its result and writes both.

    Args:
        experiment: Name of the experiment.
        title: Of the run.
        stem: Of its two files' names.
        make: From the run's id and folder to its result, which has `to_json`.
        draw: From the result to a figure.
        metrics: From the result to those of the run.
        observer: Receives a warning if the figure cannot be drawn.
        write: From the result and the run's folder to the other files that it writes there.
    """
    with Tracker(experiment, title, runs_folder()) as tracker:
        done: Any = make(*tracker.open())
        folder = Path(done.artifacts)
        (folder / f"{stem}.json").write_text(json.dumps(done.to_json(), indent=2))
        tracker.artifact(folder / f"{stem}.json")
        with optional("the plot", observer):
            from kerascnn.results.canvas import save

            save(draw(done), folder / f"{stem}.png", observer.warned)
            tracker.artifact(folder / f"{stem}.png")
        for file in write(done, folder):
            tracker.artifact(file)
        tracker.metrics(dict(metrics(done)), step=0)
    return done
