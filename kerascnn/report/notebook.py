"""What a result shows of itself in a notebook: the report's parts that need no pictures."""

from kerascnn.report.chapters import results
from kerascnn.report.page import render
from kerascnn.runs import Result


def result_html(result: Result) -> str:
    """Headline, curves, stages and classes, as HTML that brings its own looks."""
    return render("notebook.html", **results(result))
