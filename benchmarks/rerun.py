"""An experiment run again: unchanged, and with another last stage.

In turn: a run from an empty cache; the same again, which trains nothing; with --change, which
trains the last stage only; and that trained in full on another, empty cache. The seconds are those
of whole processes.
"""

import hashlib
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import click
from common import report, run

from kerascnn.engine.result.run import PREDICTIONS, RESULT, Result

FLOWERS = Path(__file__).parents[1] / "experiments" / "flowers.toml"
CLOCK = ("seconds", "images_per_second")


@click.command()
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True), default=str(FLOWERS))
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the experiment.")
@click.option(
    "--change", metavar="KEY=VALUE", default="stages.finetune.learning_rate=1e-4", show_default=True
)
def main(experiment: str, settings: tuple[str, ...], change: str) -> None:
    """Say how long each takes, how many steps it trains, and which end the same, to the bit."""
    words = [experiment, *(word for setting in settings for word in ("--set", setting))]
    other = [*words, "--set", change]
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place), Path(place, "cache")
        runs = {
            "first": run(folder, cache, *words, fresh=False),
            "unchanged": run(folder, cache, *words, fresh=False),
            "changed": run(folder, cache, *other, fresh=False),
            "fresh": run(folder, folder / "other cache", *other),
        }
        ends = {name: outcome(result) for name, result in runs.items()}
    figures = {name: figures_of(result) for name, result in runs.items()}
    equal = {
        "unchanged_equals_first": ends["unchanged"] == ends["first"],
        "changed_equals_fresh": ends["changed"] == ends["fresh"],
    }
    report("rerun", {"settings": settings, "change": change, **equal, **figures})


def figures_of(result: dict[str, Any]) -> dict[str, Any]:
    keys = ("name", "reused_from", "seconds", "trained_seconds")
    return {
        "process_seconds": result["process_seconds"],
        "steps_trained": steps_trained(result),
        "stages": [{key: stage[key] for key in keys} for stage in result["stages"]],
    }


def steps_trained(result: dict[str, Any]) -> int:
    """The training steps of all stages that were not taken from another run."""
    images, experiment = result["data"]["train"]["images"], result["experiment"]
    return sum(
        done["epochs"]
        * math.ceil(images / stage.get("batch_size", experiment["training"]["batch_size"]))
        for done, stage in zip(result["stages"], experiment["stages"], strict=True)
        if done["reused_from"] is None
    )


def outcome(result: dict[str, Any]) -> dict[str, str]:
    """SHA-256 of what a run ends with."""
    folder = Path(result["artifacts"])
    weights = Result.read(folder / RESULT).model.get_weights()
    history = [{k: v for k, v in row.items() if k not in CLOCK} for row in result["history"]]
    ended = [(stage["ended_sha256"], stage["frozen_sha256"]) for stage in result["stages"]]
    return {
        "weights": _sha256(b"".join(weight.tobytes() for weight in weights)),
        "weights_and_optimizer_by_stage": _sha256(json.dumps(ended).encode()),
        "history": _sha256(json.dumps(history).encode()),
        "predictions": _sha256((folder / PREDICTIONS).read_bytes()),
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
