"""The frozen prefix on OpenVINO and on each backend, and what that makes of a head stage.

`flowers.toml`'s head stage on every backend whose Python is given, with and without OpenVINO, each
time with an empty cache but for the packed images. Before it, in a process of its own, the prefix
alone: images a second of every way to run it, the best of three passes in turn, and the largest
difference from the network as it is.
"""

import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import click
from common import HERE, document, report, write_experiment

RECIPE = HERE.parent / "experiments" / "flowers.toml"
IMAGES, PASSES = 96, 3


@click.command()
@click.option(
    "--python",
    "pythons",
    type=(str, str),
    multiple=True,
    default=[("tensorflow", sys.executable)],
    help="A backend, and the Python of an environment that has it and OpenVINO.",
)
@click.option("--alone", help="A backend on which to run the prefix in this process.")
def main(pythons: list[tuple[str, str]], alone: str | None) -> None:
    """Time the backends in turn."""
    if alone:
        report("engines", prefix(alone))
        return
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for backend, python in pythons:
            folder = Path(place)
            one = [python, HERE / "engines.py", "--alone", backend]
            figures[backend] = {
                "prefix": document(one, folder, folder / "cache")["ways"],
                "head": {
                    engine: head(folder, python, backend, engine) for engine in ("auto", "backend")
                },
            }
    first = figures[pythons[0][0]]["head"]["auto"]["seconds"]
    ratios = {name: of["head"]["auto"]["seconds"] / first for name, of in figures.items()}
    report("engines", {"ratios": ratios, **figures})


def head(folder: Path, python: str, backend: str, engine: str) -> dict[str, Any]:
    """The head stage in a run of its own."""
    words = ["--set", f"training.backend={backend}", "--set", f"training.prefix_engine={engine}"]
    command = [python, "-m", "kerascnn", "run", recipe(folder), *words, "--json"]
    result = document(command, folder, folder / "cache")
    keys = ("seconds", "prefix_seconds", "fit_seconds", "val_accuracy", "cache")
    return {key: result["stages"][0][key] for key in keys}


def recipe(folder: Path) -> Path:
    experiment = tomllib.loads(RECIPE.read_text("utf-8"))
    return write_experiment(folder, {**experiment, "stages": experiment["stages"][:1]})


def prefix(backend: str) -> dict[str, Any]:
    """Every way to run the prefix, in turn, on the recipe's own images."""
    import numpy as np

    from kerascnn import load_experiment
    from kerascnn.engine.network.boundary import cut
    from kerascnn.engine.network.freezing import set_trainable
    from kerascnn.engine.network.prefix.ways import ways
    from kerascnn.engine.observer import Observer
    from kerascnn.engine.prepare import prepare_experiment

    with tempfile.TemporaryDirectory() as place:
        experiment = load_experiment(recipe(Path(place)), {"training.backend": backend})
    prepared = prepare_experiment(experiment, Observer())
    plan, model = prepared.plans[0], prepared.network.model
    set_trainable(model, plan.layers, plan.batchnorm)
    images = np.asarray(prepared.examples(plan)[0].inputs[np.arange(IMAGES)], np.float32)
    found = ways(cut(model).prefix)
    runs = {way.key: (way, way.forward()) for way in found}
    first = {name: run(images[:32]) for name, (_, run) in runs.items()}
    apart = {name: float(np.abs(of - first[found[-1].key]).max()) for name, of in first.items()}
    seconds = [{name: timed(*run, images) for name, run in runs.items()} for _ in range(PASSES)]
    best = {name: IMAGES / min(of[name] for of in seconds) for name in runs}
    return {
        "ways": {
            name: {"images_per_second": best[name], "largest_difference": apart[name]}
            for name in runs
        }
    }


def timed(way: Any, run: Any, images: Any) -> float:
    """Seconds for all images, as many batches at a time as the way wants."""
    from joblib import Parallel, delayed

    start = time.perf_counter()
    parts = (images[first : first + 32] for first in range(0, len(images), 32))
    Parallel(way.calls, prefer="threads")(delayed(run)(part) for part in parts)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
