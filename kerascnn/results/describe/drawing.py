"""Draws a network: each block as a box, sized like its output."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from kerascnn.errors import InputError
from kerascnn.results.describe.description import BlockRow, Description
from kerascnn.runtime.text import quantity, shape

SLANT = 0.32  # offset of the back edge to the right and up, as a share of the side


def save_drawing(description: Description, file: Path, warned: Callable[[str], None]) -> None:
    """Draws a network to a .png, .svg or .pdf file; raises InputError for other suffixes."""
    if file.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f'--draw "{file}": expected a .png, .svg or .pdf file.')
    from kerascnn.results.canvas import save

    save(network_figure(description), file, warned, bbox_inches="tight", facecolor="white")


def network_figure(description: Description) -> Any:
    """Draws the output of each block as a box.

    Its height is the side of the feature maps, its width the logarithm of their number; a darker
    box has more of the parameters. Consecutive blocks with outputs of one shape share a box.

    Returns:
        A matplotlib Figure.
    """
    from kerascnn.results.canvas import Figure

    boxes = list(_boxes(description))
    figure = Figure(figsize=(1.2 + 1.35 * len(boxes), 4.2), dpi=140)
    axes = figure.subplots()
    place = 0.0
    for blocks in boxes:
        place = _draw(axes, place, blocks, description) + 0.45
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.autoscale_view()
    axes.set_title(_title(description), fontsize=10, loc="left", pad=10)
    return figure


def _title(description: Description) -> str:
    return (
        f"{description.name} · depth {description.depth} · "
        f"{description.parameters:,} parameters · {quantity(description.multiply_adds)} "
        "multiply-adds per image"
    )


def _boxes(description: Description) -> Iterator[list[BlockRow]]:
    """Blocks with the same output shape, or the same side if there would be too many boxes."""
    whole = [list(same) for _, same in groupby(description.blocks, lambda block: block.output)]
    if len(whole) > 16:
        whole = [list(same) for _, same in groupby(description.blocks, lambda b: b.output[:-1])]
    yield from whole


def _draw(axes: Any, left: float, blocks: Sequence[BlockRow], description: Description) -> float:
    """Draws a box at a position; returns where it ends."""
    from matplotlib.patches import Polygon

    *sides, channels = blocks[-1].output
    height = 3 * (sides[0] / description.image_size) ** 0.5 if len(sides) == 2 else 0.3
    width, back = 0.11 * math.log2(channels + 1), SLANT * height
    share = sum(block.parameters for block in blocks) / max(description.parameters, 1)
    right, top, low = left + width, height / 2, -height / 2
    front = [(left, low), (right, low), (right, top), (left, top)]
    lid = [(left, top), (right, top), (right + back, top + back), (left + back, top + back)]
    flank = [(right, low), (right + back, low + back), (right + back, top + back), (right, top)]
    for face, light in ((front, 0.0), (lid, 0.25), (flank, 0.12)):
        axes.add_patch(Polygon(face, facecolor=_shade(share, light), edgecolor="white", lw=0.8))
    middle = (left + right + back) / 2
    _label(axes, middle, blocks, share, description)
    return max(right + back, middle + 0.45)


def _shade(share: float, light: float) -> tuple[float, ...]:
    """Blue, darker for a larger share; `light` mixes in white."""
    from matplotlib import colormaps

    red, green, blue, _ = colormaps["Blues"](0.25 + 0.65 * share**0.5)
    return tuple(colour + (1 - colour) * light for colour in (red, green, blue))


def _label(
    axes: Any, middle: float, blocks: Sequence[BlockRow], share: float, description: Description
) -> None:
    first, last = blocks[0].name, blocks[-1].name
    name = first if len(blocks) == 1 else f"{first}\nto {last}"
    adds = sum(block.multiply_adds for block in blocks) / max(description.multiply_adds, 1)
    layers = sum(block.layers for block in blocks)
    costs = f"{_percent(share)} of parameters\n{_percent(adds)} of multiply-adds"
    said = f"{shape(blocks[-1].output)}\n{layers} layer{'s' * (layers != 1)}\n{costs}"
    axes.text(middle, -1.75, name, ha="center", va="top", fontsize=7, weight="bold")
    axes.text(middle, -2.3, said, ha="center", va="top", fontsize=6, color="#4a5568")


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"
