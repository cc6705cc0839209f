"""Records a probe as a run, with its result as JSON and its figure."""

import json
from collections.abc import Callable, Mapping
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
    metrics: Mapping[str, float],
    observer: Observer,
) -> Result:
    """Opens a run, makes its result and writes both.

    Args:
        experiment: Name of the experiment.
        title: Of the run.
        stem: Of its two files' names.
        make: From the run's id and folder to its result, which has `to_json`.
        draw: From the result to a figure.
        metrics: Of the run.
        observer: Receives a warning if the figure cannot be drawn.
    """
    with Tracker(experiment, title, runs_folder()) as tracker:
        done: Any = make(*tracker.open())
        folder = Path(done.artifacts)
        (folder / f"{stem}.json").write_text(json.dumps(done.to_json(), indent=2))
        tracker.artifact(folder / f"{stem}.json")
        with optional("the plot of the probe", observer):
            from kerascnn.results.canvas import save

            save(draw(done), folder / f"{stem}.png", observer.warned)
            tracker.artifact(folder / f"{stem}.png")
        tracker.metrics(dict(metrics), step=0)
    return done
