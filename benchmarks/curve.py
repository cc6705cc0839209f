"""Accuracy by minutes: `kerascnn best` beside fastai's `fine_tune` and the Keras guide.

All see the same images and are judged on the same test images. `best` gets its minutes; the
others, with EfficientNet-Lite0, a number of epochs each, and the whole process counts. fastai
augments, and takes the rate that its finder suggests.
Of the images that do not test, a few are the rivals' validation images; `best` draws its own from
all of them. With --plot it draws what earlier calls have printed, on splits of their own each.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from best import best
from common import judged, report, script, split_folder

SIZE = 224
COLOURS = {"kerascnn best": "#2b6cb0", "fastai": "#c05621", "Keras guide": "#718096"}
Points = list[tuple[float, int, int]]  # seconds, right answers and test images of each call


@click.command()
@click.option("--data", type=click.Path(exists=True, resolve_path=True, path_type=Path))
@click.option("--minutes", multiple=True, type=float, default=(1.0, 2.0, 3.0, 5.0, 10.0, 20.0))
@click.option("--epochs", multiple=True, type=int, default=(1, 2, 5, 10, 20), show_default=True)
@click.option("--fastai", help="The Python of an environment with fastai; without, it is left out.")
@click.option("--repetitions", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, help="Of the first split.")
@click.option("--test-share", default=0.2, show_default=True, type=click.FloatRange(0, 1))
@click.option("--plot", nargs=2, type=click.Path(path_type=Path), help="JSON lines, an SVG file.")
def main(
    data: Path | None,
    minutes: tuple[float, ...],
    epochs: tuple[int, ...],
    fastai: str | None,
    repetitions: int,
    seed: int,
    test_share: float,
    plot: tuple[Path, Path] | None,
) -> None:
    """Say the accuracy and the seconds of each, over all repetitions."""
    if plot:
        draw(merged([json.loads(line) for line in plot[0].read_text().splitlines()]), plot[1])
        return
    if data is None:
        raise click.UsageError("Missing option '--data'.")
    calls: dict[str, dict[float, Points]] = {"kerascnn best": {}, "Keras guide": {}}
    calls |= {"fastai": {}} if fastai else {}
    for repetition in range(seed, seed + repetitions):
        with tempfile.TemporaryDirectory() as place:
            photos, rivals = Path(place, data.name), Path(place, "rivals")
            split_folder(data, photos, {"test": test_share}, seed=repetition)
            split_folder(data, rivals, {"test": test_share, "validation": 0.04}, seed=repetition)
            for each in minutes:
                done, right = best(Path(place), photos, each, repetition, ())
                point = done["process_seconds"], int(right.sum()), len(right)
                calls["kerascnn best"].setdefault(each, []).append(point)
            for each in epochs:
                for name, call in callers(rivals, fastai, repetition).items():
                    calls[name].setdefault(each, []).append(call(each))
    report("curve", {"data": data.name, "seed": seed, "calls": calls, **figures(calls)})


def callers(data: Path, fastai: str | None, seed: int) -> dict[str, Callable[[int], Any]]:
    """What trains for a number of epochs, by name: a head of that many, then as many more."""

    def call(name: str, head_epochs: int, *own: str, **python: str) -> Callable[[int], Any]:
        def run(epochs: int) -> tuple[float, int, int]:
            heads = ("--head-epochs", head_epochs or epochs)
            words = ("--data", data, "--image-size", SIZE, "--seed", seed)
            done = script(name, *words, *own, *heads, "--finetune-epochs", epochs, **python)
            return done["process_seconds"], done["correct"], done["total"]

        return run

    guide = {"Keras guide": call("keras_guide.py", 0)}
    if not fastai:
        return guide
    as_advised = ("--augment", "--lr-find")
    return guide | {"fastai": call("fastai_baseline.py", 1, *as_advised, python=fastai)}


def figures(calls: dict[str, dict[float, Points]]) -> dict[str, Any]:
    """For each, by minutes or epochs: the mean seconds, and the accuracy with its interval."""
    return {
        name: {
            f"{each:g}": {
                "seconds": sum(seconds for seconds, *_ in points) / len(points),
                **judged(sum(right for _, right, _ in points), sum(of for *_, of in points)),
            }
            for each, points in by_effort.items()
        }
        for name, by_effort in calls.items()
    }


def merged(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of several calls."""
    every: dict[str, dict[float, Points]] = {}
    for line in lines:
        for name, by_effort in line["calls"].items():
            for each, points in by_effort.items():
                every.setdefault(name, {}).setdefault(float(each), []).extend(points)
    return figures(every)


def draw(line: dict[str, Any], file: Path) -> None:
    """Accuracy by minutes, an interval of 95% for each point."""
    from kerascnn.results.canvas import Figure
    from kerascnn.results.page import style

    with style():
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        for name, colour in COLOURS.items():
            points = sorted(line.get(name, {}).values(), key=lambda point: point["seconds"])
            if not points:
                continue
            minutes = [point["seconds"] / 60 for point in points]
            accuracies = [point["accuracy"] for point in points]
            axes.plot(minutes, accuracies, color=colour, lw=1.5, marker="o", ms=4, label=name)
            lows, highs = zip(*(point["interval"] for point in points), strict=True)
            axes.fill_between(minutes, lows, highs, color=colour, alpha=0.12, lw=0)
        axes.set(xlabel="minutes", ylabel="test accuracy", xscale="log")
        axes.set_xticks([1, 2, 3, 5, 10, 20], ["1", "2", "3", "5", "10", "20"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(file, format="svg")


if __name__ == "__main__":
    main()
