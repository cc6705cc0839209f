"""The page of a comparison: as a file, logged to MLflow, or in a notebook."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kerascnn.engine.result.folds import FoldsResult
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.compare import figures
from kerascnn.results.compare.comparison import Comparison
from kerascnn.results.compare.results import Flip
from kerascnn.results.folds.material import gather_folds
from kerascnn.results.lookup import Kind, runs_folder
from kerascnn.results.page import Thumbnail, data_uri, render
from kerascnn.results.report.gather import gather
from kerascnn.runtime.text import counted
from kerascnn.runtime.toml import excerpt
from kerascnn.tracking.tracker import Tracker

PAGE, DOCUMENT = "comparison.html", "comparison.json"
SIDE = 128  # pixels of a thumbnail
IMAGES = 18  # per pair and direction
OPENED = 5  # pairs with the best run whose flipped images are shown


@dataclass(frozen=True)
class Flipped:
    """The images that only one of two runs classifies correctly.

    Args:
        by: The run that is right.
        other: The run that is wrong.
        images: Some of them, the most confident mistakes first.
        names: The captions of those images, shown if the images are missing.
    """

    by: str
    other: str
    count: int
    images: list[Thumbnail]
    names: list[tuple[str, ...]]


def write_comparison(comparison: Comparison, file: Path) -> None:
    """Writes the comparison as one self-contained HTML page."""
    if not comparison.results:
        raise InputError(Kind.RUN.none_yet("finished "))
    missing, flipped = _flipped(comparison)
    page = render(
        "comparison.html",
        **_results(comparison),
        intervals=[figures.accuracies(comparison, wide) for wide in (True, False)],
        curves=[figures.curves(comparison, wide) for wide in (True, False)],
        flipped=flipped,
        missing=missing,
    )
    file.write_text(page, encoding="utf-8")


def comparison_html(comparison: Comparison) -> str:
    """The comparison for a notebook: without curves and images."""
    return render("comparison_notebook.html", **_results(comparison))


def log_comparison(comparison: Comparison) -> str | None:
    """Logs the page and the JSON document as a run of its own, with the compared runs nested.

    Comparing the same runs again updates that run.

    Returns:
        What could not be uploaded and why, in one sentence, or None.
    """
    best, ids = comparison.results[0], sorted(result.run_id for result in comparison.results)
    by_seed = " by seed" if comparison.by_seed else ""
    title = f"comparison of {counted(len(ids), comparison.noun)}{by_seed}"
    if comparison.elsewhere:
        title += f" on {Path(comparison.elsewhere.data).name}"
    earlier = _earlier(comparison, ids)
    with Tracker(best.name, title, runs_folder(), resume=earlier) as tracker:
        _, folder = tracker.open()
        write_comparison(comparison, folder / PAGE)
        (folder / DOCUMENT).write_text(json.dumps(comparison.to_json(), indent=2))
        tracker.tags(
            {
                "mlflow.note.content": f"{comparison.summary}. {comparison.advice}\n\nThe page is "
                f"{PAGE} under Artifacts.",
                "mlflow.source.name": "kerascnn compare",
                "mlflow.source.type": "LOCAL",
            }
        )
        tracker.artifact(folder / PAGE)
        tracker.artifact(folder / DOCUMENT)
        for run_id in ids:
            tracker.nest([run_id])
    return tracker.unsent


def _earlier(comparison: Comparison, ids: list[str]) -> Path | None:
    """The folder of an earlier comparison of the same runs on the same images."""
    data = comparison.elsewhere.data if comparison.elsewhere else None
    for file in runs_folder().glob(f"*/{DOCUMENT}"):
        document = json.loads(file.read_text())
        compared = sorted(run["run_id"] for run in document["runs"])
        same = bool(document["groups"]) == comparison.by_seed and document.get("data") == data
        if compared == ids and same:
            return file.parent
    return None


def _results(comparison: Comparison) -> dict[str, Any]:
    """The values for the templates, without images and curves."""
    entrants = comparison.entrants
    tested = not comparison.refusal
    return {
        "comparison": comparison,
        "runs": comparison.runs,
        "groups": comparison.groups if comparison.by_seed else (),
        "entrants": entrants,
        "kind": comparison.kind,
        "noun": comparison.noun,
        "summary": comparison.summary if tested else "",
        "advice": comparison.advice if tested and entrants else "",
        "against_best": comparison.against_best if tested else (),
        "pairs": comparison.pairs if tested else (),
        "settings": {
            name: [_setting(one.settings[name]) for one in entrants]
            for name in (entrants[0].settings if entrants else ())
        },
        "colours": figures.colours(comparison),
    }


def _setting(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else excerpt(value)


def _flipped(comparison: Comparison) -> tuple[str, list[Flipped]]:
    """The images on which the best run and the next ones disagree.

    Returns:
        Why the images are missing, or ""; the images by pair.
    """
    if comparison.refusal or comparison.by_seed or len(comparison.results) < 2:
        return "", []
    missing, images = _images(comparison)
    pairs = [
        [
            _way(comparison, images, *way)
            for way in ((one.first, one.second), (one.second, one.first))
        ]
        for one in comparison.against_best[:OPENED]
    ]
    return missing, [way for both in pairs for way in both if any(one.count for one in both)]


def _images(comparison: Comparison) -> tuple[str, Any]:
    """Why the images of the best run are missing, or ""; the images."""
    result = comparison.results[0]
    if comparison.elsewhere:
        return "", comparison.elsewhere.images[result.run_id]
    try:
        experiment = bind_experiment(result.experiment)
        if isinstance(result, FoldsResult):
            of_folds = gather_folds(result, experiment)
            return of_folds.missing, of_folds.pixels(result.repeats)
        material = gather(cast(Result, result), experiment, model=None)
    except InputError as error:  # such as a plugin that is no longer installed
        return str(error), None
    return material.missing, material.pixels()


def _way(comparison: Comparison, images: Any, by: str, other: str) -> Flipped:
    flips = sorted(comparison.flipped(by, other), key=lambda flip: -flip.probability[other])
    shown = [(flip, _said(flip, by, other)) for flip in flips[:IMAGES]]
    thumbnails = [
        Thumbnail(data_uri(images[flip.row], SIDE), f"{flip.label}, {lines[0]}", lines)
        for flip, lines in shown
        if images is not None
    ]
    return Flipped(by[:8], other[:8], len(flips), thumbnails, [lines for _, lines in shown])


def _said(flip: Flip, by: str, other: str) -> tuple[str, ...]:
    name = f"image {flip.image}" if flip.image.isdecimal() else Path(flip.image).name
    return (
        f"{flip.label} {flip.probability[by]:.2f}",
        f"mistaken for {flip.predicted[other]} {flip.probability[other]:.2f}",
        name,
    )
