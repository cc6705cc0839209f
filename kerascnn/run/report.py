"""Draws the figures and pages of a finished run."""

import time

from kerascnn.engine.metrics.score import Metrics
from kerascnn.engine.observer import Observer, optional
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result import Result
from kerascnn.results.confusion import CONFUSION_MATRIX, save_confusion
from kerascnn.results.report.gather import gather
from kerascnn.results.report.note import note, write_thumbnails
from kerascnn.results.report.write import write_page
from kerascnn.runtime.commands import command
from kerascnn.tracking.tracker import Tracker


def draw_report(
    prepared: Prepared,
    result: Result,
    test: Metrics,
    tracker: Tracker,
    observer: Observer,
) -> None:
    """Writes the confusion matrix, the report and MLflow's note on the run.

    A failure becomes a warning: the run is complete without them.
    """
    start, folder = time.perf_counter(), result.folder
    again = f"`{command('report', result.run_id[:8], '--debug')}` shows where"
    with optional("the confusion matrix", observer):
        save_confusion(test, result.class_names, folder / CONFUSION_MATRIX, observer.warned)
        tracker.artifact(folder / CONFUSION_MATRIX)
    with optional("the report", observer, again):
        material = gather(result, prepared.experiment, prepared.network.model, prepared.data)
        tracker.artifact(write_page(material))
        with optional("the thumbnails", observer, again):
            if file := write_thumbnails(material):
                tracker.artifact(file)
    with optional("the note on the run", observer):
        tracker.tags({"mlflow.note.content": note(result)})
    tracker.metrics({"report_seconds": time.perf_counter() - start}, step=result.epochs)
