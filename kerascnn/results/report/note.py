"""The note on a run that MLflow's page shows, in Markdown."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from kerascnn.engine.result.ensemble import MemberTable
from kerascnn.engine.result.run import Result
from kerascnn.engine.result.tables import StageTable
from kerascnn.results.page import saved, seconds
from kerascnn.results.report import explained, mistakes
from kerascnn.results.report.gather import Material
from kerascnn.runtime.text import markdown

THUMBNAILS = "thumbnails.jpg"

COUNT, SIDE = 10, 64  # number and size of the thumbnails
LINE = "#d0d0d0"  # border, because thumbnails may be white
GAP = "&emsp;"  # widens the columns of tables on MLflow's page


def note(result: Result) -> str:
    """The headline, the worst mistakes, and the gain of each stage, in Markdown."""
    low, high = result.test_accuracy_interval
    lines = [
        f"**{result.test_accuracy:.3f}** test accuracy, 95% interval {low:.3f} to {high:.3f}, "
        f"on {result.test['images']:,} images of {len(result.class_names)} classes; "
        "details in the artifact report.html",
        "",
    ]
    if (result.folder / THUMBNAILS).is_file():
        # relative to MLflow's page, which shows only images of its own store
        place = f"get-artifact?path={THUMBNAILS}&run_uuid={result.run_id}"
        lines += [f"![the worst mistakes]({place})", ""]
    if result.ensemble:
        return "\n".join([*lines, *_members(result.ensemble["members"])])
    heads = ("stage", "trains", "parameters", "epochs", "validation", "gain, paired 95%", "time")
    return "\n".join([*lines, *table_lines(heads, map(_stage, result.stages))])


def _members(members: Sequence[MemberTable]) -> list[str]:
    heads = ("member", "network", "weight", "validation", "test", "ensemble's gain, paired 95%")
    rows = []
    for member in members:
        below, above = member["gain_interval"]
        rows.append(
            (
                member["run"][:8],
                f"{markdown(member['architecture'])}, {member['image_size']} px",
                f"{member['weight']:.2f}",
                f"{member['val_accuracy']:.3f}",
                f"{member['test_accuracy']:.3f}",
                f"{member['gain']:+.3f} [{below:+.3f}, {above:+.3f}]",
            )
        )
    return table_lines(heads, rows)


def table_lines(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A table in Markdown, with columns that are far enough apart on MLflow's page."""
    spaced = ([cell + GAP for cell in row] for row in (heads, *rows))
    lines = [f"| {' | '.join(row)} |" for row in spaced]
    return [lines[0], f"|{' --- |' * len(heads)}", *lines[1:]]


def _stage(stage: StageTable) -> tuple[str, ...]:
    gain = ""
    if "gain" in stage:
        below, above = stage["gain_interval"]
        gain = f"{stage['gain']:+.3f} [{below:+.3f}, {above:+.3f}]"
    return (
        markdown(stage["name"]),
        markdown(stage["unfreeze"]),
        f"{stage['trainable_parameters']:,}",
        _epochs(stage),
        f"{stage['val_accuracy']:.3f}",
        gain,
        _time(stage),
    )


def _epochs(stage: StageTable) -> str:
    return f"{stage['epochs']}, {'kept' if stage['kept'] else 'best'} {stage['best_epoch']}"


def _time(stage: StageTable) -> str:
    if stage["reused_from"] is None:
        return seconds(stage["seconds"])
    return f"as in run {stage['reused_from'][:8]}, {saved(stage)}"


def write_thumbnails(material: Material) -> Path | None:
    """Writes the worst mistakes side by side; nothing if there are none."""
    images, rows = material.pixels(), mistakes.most_wrong(material.test, COUNT)
    if images is None or not len(rows):
        return None
    tiles = np.stack([explained.resized(image, SIDE) for image in images[rows]])
    whole = Image.fromarray(explained.sheet(tiles, COUNT)).convert("RGBA")
    ground = Image.new("RGBA", (whole.width + 2, whole.height + 2), LINE)
    ground.alpha_composite(whole, (1, 1))
    file = material.result.folder / THUMBNAILS
    ground.convert("RGB").save(file, quality=85)
    return file
