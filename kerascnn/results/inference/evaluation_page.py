"""The page of an evaluation: one self-contained HTML file."""

from dataclasses import replace
from pathlib import Path

from kerascnn.results.inference.evaluate import Evaluation
from kerascnn.results.page import render
from kerascnn.results.report import chapters, image_chapters
from kerascnn.runtime.files import write_whole


def write_evaluation(evaluation: Evaluation, file: Path) -> None:
    """Writes classes, confusion matrix and mistakes, as in the report of a run."""
    judged = replace(evaluation.result, test=evaluation.scores, history=[])
    page = render(
        "evaluation.html",
        evaluation=evaluation,
        **chapters.results(judged),
        **image_chapters.errors(evaluation),
    )
    write_whole(file, page)
