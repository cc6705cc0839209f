"""Partial unfreezing with the frozen prefix run once, against the whole network at every step.

The same stage twice: with activations stored at the boundary, and with
`training.activations_gb = 0`, which leaves no room for them. Each starts with an empty cache but
for the packed images.
"""

import tempfile
from pathlib import Path
from typing import Any

import click
from common import KERASCNN, architecture, document, report, run, write_experiment


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Of class folders.")
@click.option("--network", default="efficientnet_lite0", show_default=True)
@click.option("--weights", default="imagenet", show_default=True)
@click.option("--unfreeze", default="last:2", show_default=True)
@click.option("--image-size", default=160, show_default=True, help="Pixels.")
@click.option("--epochs", default=5, show_default=True)
@click.option("--backend", default="auto", show_default=True)
def main(data: Path | None, **options: Any) -> None:
    """Time both in turn, on --data or else on the rendered flowers."""
    dataset = {"name": "image_folder", "path": str(data.resolve())} if data else "flowers"
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place), Path(place, "cache")
        file = write_experiment(folder, one_stage(dataset, options))
        document([*KERASCNN, "check", file, "--json"], folder, cache)  # packs the images
        whole = run(folder, cache, file, "--set", "training.activations_gb=0")
        cached = run(folder, cache, file)
    figures = {"cached": stage_of(cached), "whole": stage_of(whole)}
    report("boundary", {"settings": options, "ratio": ratio(**figures), **figures})


def one_stage(dataset: Any, options: dict[str, Any]) -> dict[str, Any]:
    stage = {"name": "finetune", "unfreeze": options["unfreeze"], "epochs": options["epochs"]}
    return {
        "name": "boundary",
        "dataset": dataset,
        "architecture": architecture(options["network"], options["weights"]),
        "training": {
            "image_size": options["image_size"],
            "backend": options["backend"],
            "keep": "last",
        },
        "stages": [{**stage, "learning_rate": 1e-3}],
    }


def stage_of(result: dict[str, Any]) -> dict[str, Any]:
    stage = result["stages"][0]
    keys = ("boundary", "prefix_seconds", "fit_seconds", "images_per_second", "cache", "val_loss")
    return {**{key: stage[key] for key in keys}, "test_accuracy": result["test_accuracy"]}


def ratio(whole: dict[str, Any], cached: dict[str, Any]) -> float:
    """How many times faster the stage is with its prefix run once, the prefix counted."""
    seconds = [figures["prefix_seconds"] + figures["fit_seconds"] for figures in (whole, cached)]
    return seconds[0] / seconds[1]


if __name__ == "__main__":
    main()
