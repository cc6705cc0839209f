"""The same trials alone, in a sweep and under pruners: time and best validation loss.

The settings are drawn before the first trial, so all sweeps try the same ones. Each sweep starts
from an empty cache. "alone" runs some of them one by one, each from an empty cache and without
stages of others, as a loop over the Keras guide would; its time is for all, in proportion.
`kept` says whether a sweep's outcome still has the best trial of the one that pruned nothing among
those not told apart. Times are the wall's and, as other work disturbs them less, the processor's.
"""

import json
import resource
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import tomli_w
from common import HERE, KERASCNN, document, report, run

SPACE = {
    "stages.finetune.learning_rate": {"from": 1e-4, "to": 3e-3},
    "stages.finetune.unfreeze": {"one_of": ["last:2", "last:4", "last:6", "last:8"]},
    "stages.finetune.ema_fraction": {"one_of": [0.0, 0.33]},
    "augmentation.mixup": {"one_of": [0.0, 0.2, 0.4]},
}
PRUNERS = ("none", "race", "hyperband")


@click.command()
@click.option("--data", type=click.Path(exists=True, resolve_path=True), required=True)
@click.option("--trials", default=40, show_default=True)
@click.option("--alone", default=10, show_default=True, help="Trials that are also run alone.")
@click.option("--workers", default=1, show_default=True)
@click.option("--pruner", "pruners", multiple=True, default=PRUNERS, show_default=True)
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of `folder.toml`.")
@click.option(
    "--into",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep each part that is done in this file; those that it has are not run again.",
)
def main(
    data: str,
    trials: int,
    alone: int,
    workers: int,
    pruners: Any,
    settings: Any,
    into: Path | None,
) -> None:
    """Sweep `folder.toml` over rate, depth, average of the weights and MixUp."""
    sets = [word for one in (f"dataset.path={data}", *settings) for word in ("--set", one)]
    done = Kept(into)
    sweeps = {
        pruner: done.part(pruner, partial(sweep, pruner, trials, workers, sets))
        for pruner in pruners
    }
    full = sweeps.get("none")
    for one in sweeps.values():
        one["kept"] = full and full["best"] in [one["best"], *one["not_told_apart"]]
        one["best_in_full"] = full and full["values"][str(one["best"])]
    hidden = ("values", "params")
    figures = {
        name: {key: value for key, value in one.items() if key not in hidden}
        for name, one in sweeps.items()
    }
    if full and alone:
        figures["alone"] = done.part("alone", partial(singly, full["params"], alone, sets))
    report("sweeps", {"trials": trials, "workers": workers, "settings": settings, **figures})


class Kept:
    """Parts of a measurement that takes an hour: those that are done are kept in a file, if any."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._parts = json.loads(file.read_text()) if file and file.is_file() else {}

    def part(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if name not in self._parts:
            self._parts[name] = measure()
            if self._file:
                self._file.write_text(json.dumps(self._parts))
        return self._parts[name]


def sweep(pruner: str, trials: int, workers: int, sets: list[str]) -> dict[str, Any]:
    """A sweep from an empty cache, with the winner's run in full."""
    asked = {
        "experiment": str(HERE.parent / "experiments" / "folder.toml"),
        **{"trials": trials, "sampler": "random", "pruner": pruner, "metric": "val_loss"},
        "space": SPACE,
    }
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "sweep.toml")
        file.write_text(tomli_w.dumps(asked))
        command = [*KERASCNN, "sweep", file, "--workers", workers, "--json", *sets]
        before = processor_seconds()
        done = document(command, Path(place), Path(place, "cache"))
    finished = [trial for trial in done["trials"] if trial["state"] == "complete"]
    return {
        "seconds": done["process_seconds"],
        "processor_seconds": processor_seconds() - before,
        "finished": len(finished),
        "best": done["best"]["number"],
        "best_value": min(trial["value"] for trial in finished),
        "not_told_apart": done["not_told_apart"],
        "test_accuracy": done["winner"]["test_accuracy"],
        "values": {str(trial["number"]): trial["value"] for trial in done["trials"]},
        "params": [trial["params"] for trial in done["trials"]],
    }


def singly(params: list[dict[str, Any]], count: int, sets: list[str]) -> dict[str, float]:
    """The first settings, each in a run of its own; the figures are for all settings."""
    seconds, before = 0.0, processor_seconds()
    for one in params[:count]:
        words = [f"{key}={json.dumps(value)}" for key, value in one.items()]
        own = [word for setting in words for word in ("--set", setting)]
        with tempfile.TemporaryDirectory() as place:
            recipe = HERE.parent / "experiments" / "folder.toml"
            done = run(Path(place), Path(place, "cache"), recipe, *sets, *own)
            seconds += done["process_seconds"]
    share = len(params) / count
    return {
        "run": count,
        "seconds": seconds * share,
        "processor_seconds": (processor_seconds() - before) * share,
    }


def processor_seconds() -> float:
    """What the processes that this one started and that have ended took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
