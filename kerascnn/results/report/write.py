"""Writes the report of a run: one self-contained HTML page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerascnn.engine.observer import Observer, default_observer, optional
from kerascnn.engine.result.run import Result
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.find import find_run
from kerascnn.results.page import render
from kerascnn.results.report import chapters, image_chapters
from kerascnn.results.report.gather import Material, gather
from kerascnn.results.report.labels import suspicious_labels
from kerascnn.results.report.note import write_thumbnails
from kerascnn.results.report.steps import next_steps
from kerascnn.runtime.backend import installed_backends, start_backend
from kerascnn.runtime.compilation import uncompiled
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.process import contained

REPORT = "report.html"


@contained()
def report_run(run: str | Result, *, observer: Observer | None = None) -> Path:
    """Writes the report of a run again, from its folder and its images.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result.
        observer: Receives a note if images are missing; default it is shown, `Observer()`
            discards it.

    Returns:
        The page; if the images are missing, without them.

    Raises:
        InputError: No such run, or its model cannot be loaded.
    """
    result = find_run(run)
    start_backend(result.backend if result.backend in installed_backends() else "auto")
    material = gather(result, bind_experiment(result.experiment), result.model)
    observer = observer or default_observer()
    if material.missing:
        observer.warned(f"the report has no images: {material.missing}")
    page = write_page(material)
    with optional("the thumbnails", observer):
        write_thumbnails(material)
    return page


def write_page(material: Material, drawn: Callable[[], dict[str, Any]] | None = None) -> Path:
    """Writes report.html to the run's folder.

    Args:
        drawn: Gives `chapters.drawn` of the result, asked for last; default it is drawn here.
    """
    result = material.result
    with uncompiled():
        of_network = {**image_chapters.explanations(material), **image_chapters.images(material)}
    page = render(
        "report.html",
        missing=material.missing,
        **of_network,
        **image_chapters.errors(material),
        **suspicious_labels(material),
        **(drawn() if drawn else chapters.drawn(result)),
        steps=next_steps(material),
    )
    file = result.folder / REPORT
    write_whole(file, page)
    return file
