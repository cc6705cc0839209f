"""The learning curve and the images to label next: a figure, a page, and HTML for notebooks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from kerascnn.results.page import BLUE, ORANGE, Thumbnail, data_uri, render, style, svg
from kerascnn.results.report.figures import NARROW, WIDE
from kerascnn.runtime.files import write_whole
from kerascnn.studies.more.folder import Chosen
from kerascnn.studies.more.result import MoreResult, about

PAGE = "more.html"
SIDE = 160  # pixels of a thumbnail


def write_page(result: MoreResult, folder: Path, chosen: Chosen | None) -> Path:
    """Writes curve, classes and thumbnails into the run's folder."""
    images = _thumbnails(chosen) if chosen else []
    write_whole(folder / PAGE, render("more.html", **_values(result), images=images))
    return folder / PAGE


def more_html(result: MoreResult) -> str:
    """The parts that need no images, for a notebook."""
    return render("more_notebook.html", **_values(result))


def _values(result: MoreResult) -> dict[str, Any]:
    return {
        "result": result,
        "figures": [_drawn(result, wide) for wide in (True, False)],
        "rows": list(class_rows(result)),
        "times": result.horizon.images / result.images,
    }


def class_rows(result: MoreResult) -> Sequence[tuple[str, ...]]:
    """Of each class its name, images, recall, gain and images needed, as text."""
    return [
        (
            one.name,
            f"{one.images:,}",
            f"{one.recall.value:.3f}",
            f"[{one.recall.low:.3f}, {one.recall.high:.3f}]",
            f"{one.gain.value:+.3f}",
            f"[{one.gain.low:.3f}, {one.gain.high:.3f}]",
            about(one.needed.images) if one.needed.images is not None else "too far to foresee",
            result.span(one.needed, one.images / result.images),
        )
        for one in result.classes
    ]


def _thumbnails(chosen: Chosen) -> list[Thumbnail]:
    return [
        Thumbnail(
            source=data_uri(pixels, SIDE),
            alt=one.image,
            lines=(
                f"{place} · {one.suggested}?",
                f"probability {one.probability:.2f}",
                Path(one.image).name,
            ),
        )
        for place, (one, pixels) in enumerate(zip(chosen.images, chosen.pixels, strict=True), 1)
    ]


def _drawn(result: MoreResult, wide: bool) -> Markup:
    with style():
        return svg(more_figure(result, WIDE if wide else NARROW), "accuracy by number of images")


def more_figure(result: MoreResult, width: float = 9.0) -> Any:
    """A matplotlib figure: the accuracy by the number of images, measured and expected.

    Args:
        width: In inches.
    """
    from kerascnn.results.canvas import Figure, log_scale

    figure = Figure(figsize=(width, 4.0), dpi=140, layout="constrained")
    axes = figure.subplots()
    numbers = [point.images for point in result.curve]
    low, value, high = np.array(
        [(of.low, of.value, of.high) for of in (point.accuracy for point in result.curve)]
    ).T
    axes.fill_between(numbers, low, high, color=BLUE, alpha=0.16, lw=0, label="expected, 90%")
    axes.plot(numbers, value, color=BLUE, lw=1.4)
    axes.plot(*zip(*result.measured, strict=True), "o", color=BLUE, ms=5, label="measured")
    axes.axhline(result.wished, color=ORANGE, lw=1.2, ls="--", label=f"wished, {result.wished:g}")
    axes.axvline(result.images, color="black", lw=0.8, alpha=0.5)
    axes.annotate(
        f"{result.images:,} images",
        (result.images, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
    )
    log_scale(axes, "x")
    axes.set(xlabel="images to learn from", ylabel="accuracy of the head")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False)
    return figure
