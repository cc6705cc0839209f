"""The figure that `visualize` draws of an image, and its parts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.metrics.score import ranked
from kerascnn.engine.network.explain.computed import Parts, kernel_images
from kerascnn.engine.network.explain.grad_cam import overlay
from kerascnn.engine.observer import Observer, default_observer
from kerascnn.errors import InputError
from kerascnn.results.visualize.explain import Explained

SHOWN_MAPS, SHOWN_KERNELS, SHOWN_PARTS, SHOWN_CLASSES = 8, 32, 4, 6
INK, GREY, BLUE = "#1b2a41", "#5a6778", "#2b6cb0"


def explained_figure(explained: Explained) -> Any:
    """Draws everything on one page, a matplotlib Figure."""
    from kerascnn.results.canvas import Figure

    middle = [3.0] if explained.parts else []
    heights = [0.4, 2.4, *middle, 0.4 + 1.05 * len(explained.maps), 2.6]
    figure = Figure(figsize=(10, sum(heights)), dpi=140, facecolor="white")
    sections: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    head, top, *_, maps, end = sections
    head.text(0.02, 0.5, explained.headline, va="center", fontsize=13, color=INK, weight="bold")
    draw_kernels(top.subfigures(1, 2, width_ratios=(1, 3.2))[1], explained.kernels)
    _image(top.subfigs[0].add_axes((0.08, 0.04, 0.84, 0.82)), explained.image)
    _heading(top.subfigs[0], "network input", 0.08)
    if explained.parts and explained.filter:
        draw_parts(sections[2], explained.parts, explained.filter)
    draw_maps(maps, explained.maps)
    left, right = end.subfigures(1, 2, width_ratios=(1, 1.5))
    draw_heat(left, explained.image, explained.heat, explained.heat_layer)
    draw_probabilities(right, explained.probabilities, explained.class_names)
    return figure


def _heading(figure: Any, text: str, x: float = 0.02) -> None:
    figure.text(x, 0.98, text, va="top", fontsize=9, color=INK)


def _image(axes: Any, image: np.ndarray, title: str = "", **how: Any) -> None:
    axes.imshow(image, interpolation="nearest", **how)
    axes.set_axis_off()
    axes.set_title(title, fontsize=7, color=GREY, pad=3)


def draw_kernels(figure: Any, kernels: np.ndarray) -> None:
    """Draws the kernels [kh, kw, C_in, C_out] of the first convolution; in colour if C_in is 3."""
    total = kernels.shape[-1]
    height, width, _ = kernels.shape[:3]
    shown_of = f"{SHOWN_KERNELS} of " if total > SHOWN_KERNELS else ""
    _heading(
        figure,
        f"{shown_of}{total} kernels of the first convolution, {height}×{width} px; grey is zero",
    )
    rows = 2 if total <= SHOWN_KERNELS // 2 else 3
    shown = kernel_images(kernels[..., :SHOWN_KERNELS])
    columns = -(-len(shown) // rows)
    grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw=_grid(0.80))
    for axes, index in zip(grid.flat, range(rows * columns), strict=True):
        axes.set_axis_off()
        if index < len(shown):
            _image(axes, shown[index])


def _grid(top: float) -> dict[str, float]:
    return {"left": 0.02, "right": 0.98, "top": top, "bottom": 0.02, "wspace": 0.12, "hspace": 0.12}


def draw_parts(figure: Any, parts: Parts, filter: tuple[str, int]) -> None:
    """Draws how one filter computes its output.

    Each input channel, convolved with its slice of the kernel, gives a part; the parts and the bias
    add up to the output. Red is positive, blue negative.
    """
    chosen, rest = _largest(parts)
    sums = [(parts.parts[..., channel], f"+ part {channel}") for channel in chosen]
    if rest:
        left = np.delete(parts.parts, chosen, axis=-1).sum(-1)
        sums.append((left, f"+ the other {rest} parts"))
    sums.append((parts.output, f"+ bias {parts.bias:.2f} = output"))
    _heading(
        figure,
        f"filter {filter[1]} of {filter[0]}: each input channel, convolved with its slice of the "
        "kernel, gives a part;\nthe output is the sum of the parts plus the bias (red: positive, "
        "blue: negative)",
    )
    grid = figure.subplots(2, len(sums), gridspec_kw=_grid(0.80) | {"hspace": 0.2})
    for axes, channel in zip(grid[0], chosen, strict=False):
        _image(axes, parts.inputs[..., channel], f"input {channel} and its kernel", cmap="gray")
        _signed(axes.inset_axes((0, 0, 0.3, 0.3)), parts.kernel[..., channel], parts.kernel)
    for axes in grid[0, len(chosen) :]:
        axes.set_axis_off()
    every = np.stack([image for image, _ in sums])
    for axes, (image, title) in zip(grid[1], sums, strict=True):
        _signed(axes, image, every, title.removeprefix("+ ") if image is sums[0][0] else title)


def _signed(axes: Any, image: np.ndarray, among: np.ndarray, title: str = "") -> None:
    """Draws positive values red and negative ones blue, on the scale of `among`."""
    limit = float(abs(among).max()) or 1.0
    _image(axes, image, title, cmap="RdBu_r", vmin=-limit, vmax=limit)


def _largest(parts: Parts) -> tuple[list[int], int]:
    """The channels with the largest parts, in order, and the number of the others."""
    channels = parts.parts.shape[-1]
    order = abs(parts.parts).sum((0, 1)).argsort()[::-1][:SHOWN_PARTS]
    return sorted(int(channel) for channel in order), max(channels - SHOWN_PARTS, 0)


def draw_maps(figure: Any, maps: dict[str, np.ndarray]) -> None:
    """Draws the most varied feature maps [h, w, C] of each layer: one row and scale per layer."""
    inches = 0.4 + 1.05 * len(maps)
    _heading(figure, "feature maps: the channels of each layer that vary most over the image")
    grid = figure.subplots(
        len(maps), SHOWN_MAPS, squeeze=False, gridspec_kw=_grid(1 - 0.3 / inches) | {"left": 0.15}
    )
    for row, (name, of_layer) in zip(grid, maps.items(), strict=True):
        channels = of_layer.std((0, 1)).argsort()[::-1][:SHOWN_MAPS]
        low, high = (float(f(of_layer[..., channels])) for f in (np.min, np.max))
        for axes in row:
            axes.set_axis_off()
        for axes, channel in zip(row, channels, strict=False):
            _image(axes, of_layer[..., channel], cmap="viridis", vmin=low, vmax=high)
        said = f"{name}\n{'×'.join(map(str, of_layer.shape))}"
        box = row[0].get_position()
        figure.text(0.02, (box.y0 + box.y1) / 2, said, va="center", fontsize=7, color=GREY)


def draw_heat(figure: Any, image: np.ndarray, heat: np.ndarray, layer: str) -> None:
    """Draws Grad-CAM heat [h, w] over an image uint8 [S, S, 3]."""
    _heading(figure, f"Grad-CAM at {layer}: evidence for the predicted class", 0.05)
    _image(figure.add_axes((0.05, 0.04, 0.9, 0.82)), overlay(image, heat))


def draw_probabilities(figure: Any, probabilities: np.ndarray, class_names: Sequence[str]) -> None:
    """Draws the largest softmax probabilities [K] as bars."""
    _heading(figure, f"softmax: {len(class_names)} probabilities, summing to 1")
    order = ranked(probabilities)[:SHOWN_CLASSES]
    axes = figure.add_axes((0.24, 0.05, 0.62, 0.78))
    colours = [BLUE, *["#a9c4e0"] * (len(order) - 1)]
    bars = axes.barh(range(len(order)), probabilities[order], color=colours)
    axes.bar_label(bars, [f"{probabilities[index]:.3f}" for index in order], padding=4, fontsize=8)
    axes.set_yticks(range(len(order)), [class_names[index] for index in order], fontsize=8)
    axes.set(xlim=(0, 1), xticks=[])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def save_explained(
    every: Sequence[Explained], output: Path | None = None, observer: Observer | None = None
) -> list[Path]:
    """Writes a figure for each image.

    Args:
        every: From `explain_images`.
        output: A file for one image, else a folder; default NAME-explained.png in the working
            directory.
        observer: Receives a note if no font has some of the characters; default it is shown.

    Returns:
        The files.

    Raises:
        InputError: One file for several images, or an unsupported suffix.
    """
    from kerascnn.results.canvas import save

    names = [f"{Path(explained.name).stem}-explained.png" for explained in every]
    if output and output.suffix:
        if len(every) > 1:
            raise InputError(f'--output "{output}": expected a folder for {len(every)} images.')
        if output.suffix not in (".png", ".svg", ".pdf"):
            raise InputError(f'--output "{output}": expected .png, .svg, .pdf or a folder.')
        files = [output]
    else:
        files = [(output or Path()) / name for name in names]
    for file, explained in zip(files, every, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        save(explained_figure(explained), file, (observer or default_observer()).warned)
    return files
