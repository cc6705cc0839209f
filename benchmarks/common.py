"""What the benchmarks share: the program as a user calls it, rivals beside it, one JSON line."""

import json
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import tomli_w

from kerascnn.engine.metrics.significance import mcnemar, paired_interval, wilson_interval

HERE = Path(__file__).parent
KERASCNN = [sys.executable, "-m", "kerascnn"]
networks_option = click.option(
    "--networks",
    default="efficientnet_lite0,efficientnet_lite1,efficientnet_lite2",
    show_default=True,
)


def report(benchmark: str, figures: dict[str, Any]) -> None:
    """Prints the benchmark's one line."""
    when = {"benchmark": benchmark, "date": date.today().isoformat(), "machine": machine()}
    click.echo(json.dumps(when | figures))


def machine() -> str:
    """The processor and the cores that this process may use."""
    from kerascnn.runtime.devices import available_cores

    models = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    name = models[0].partition(": ")[2] if models else platform.processor() or platform.machine()
    return f"{name}, {available_cores()} cores"


def _lines(file: str) -> list[str]:
    return Path(file).read_text().splitlines() if Path(file).is_file() else []


def write_experiment(folder: Path, experiment: dict[str, Any]) -> Path:
    """Writes the experiment as a TOML file into the folder."""
    file = folder / f"{experiment['name']}.toml"
    file.write_text(tomli_w.dumps(experiment))
    return file


def run(folder: Path, cache: Path, *arguments: Any, fresh: bool = True) -> dict[str, Any]:
    """Runs `kerascnn run … --json` in the folder on that cache; see `document`.

    With `fresh`, every stage is trained, as what is timed has to be.
    """
    options = ["--fresh", "--json"] if fresh else ["--json"]
    return document([*KERASCNN, "run", *arguments, *options], folder, cache)


def script(name: str, *arguments: Any, python: str = sys.executable) -> dict[str, Any]:
    """Runs another script of this folder; see `document`."""
    return document([python, HERE / name, *arguments], HERE)


def environment(cache: Path | None = None) -> dict[str, str]:
    """This process's environment, with that cache, and runs tracked where they happen."""
    own = {"KERASCNN_CACHE": str(cache)} if cache else {}
    kept = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    return {**kept, **own}


def document(command: list[Any], folder: Path, cache: Path | None = None) -> dict[str, Any]:
    """The JSON document that a command prints, with the whole process's seconds."""
    start = time.perf_counter()
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment(cache),
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - start
    if ended.returncode:
        raise click.ClickException(f"{' '.join(map(str, command))}:\n{ended.stderr[-4000:]}")
    text = ended.stdout
    whole = text if text.startswith("{") else text.strip().splitlines()[-1]
    return {**json.loads(whole), "process_seconds": seconds}


def split_folder(source: Path, target: Path, shares: dict[str, float], seed: int = 0) -> None:
    """Copies a folder of class folders into split folders; what no share takes is "train"."""
    for name, files in shuffled_classes(source, seed):
        counts = {split: round(share * len(files)) for split, share in shares.items()}
        for split, count in {**counts, "train": len(files)}.items():
            (target / split / name).mkdir(parents=True, exist_ok=True)
            for file in files[:count]:
                shutil.copy(file, target / split / name)
            files = files[count:]


def shuffled_classes(source: Path, seed: int) -> Iterator[tuple[str, list[Path]]]:
    """The class folders' names, each with its files in an order that the seed decides."""
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        random.Random(f"{seed} {folder.name}").shuffle(files)
        yield folder.name, files


def images_by_split(files: Iterable[tuple[str, Path]]) -> dict[str, set[bytes]]:
    """The images of each split by the SHA-256 of their content; given are split and file."""
    images = dict[str, set[bytes]]()
    for split, file in files:
        images.setdefault(split, set()).add(sha256(file.read_bytes()).digest())
    return images


def new_rows(stage: dict[str, Any], images: dict[str, set[bytes]], known: set[Any]) -> int:
    """The rows of activations that a stage of a result had to compute, each image's and view's.

    Args:
        stage: Of `run --json`; one with views augments its images.
        images: Those of each split.
        known: The rows that earlier stages and runs needed; those of this one are added.
    """
    boundary, views = stage["cache"]["boundary"], stage["cache"]["views"]
    if boundary == "input":  # nothing is stored
        return 0
    plain = images["validation"] | (images["train"] if views == 1 else set())
    rows = {(boundary, 0, image) for image in plain}
    if views > 1:
        rows |= {(boundary, view, one) for view in range(1, views + 1) for one in images["train"]}
    new = rows - known
    known |= new
    return len(new)


def compared(before: Any, right: Any) -> dict[str, Any]:
    """By how much more images are recognised than before, image by image: bool [N] each."""
    better, worse = int((right & ~before).sum()), int((before & ~right).sum())
    return {
        "difference": float(right.mean() - before.mean()),
        "difference_interval": paired_interval(before, right),
        "p_value": mcnemar(better, worse),
    }


def judged(correct: int, total: int) -> dict[str, Any]:
    """An accuracy with its 95% interval."""
    return {"accuracy": correct / total, "interval": wilson_interval(correct, total)}


def beside(
    experiment: dict[str, Any], folder: Path, rival: Callable[[Any], Callable[[], float]]
) -> tuple[list[float], list[float]]:
    """Runs the experiment in this process, a rival's epoch after each of its own.

    Args:
        experiment: What the TOML would say; one stage, from scratch.
        folder: Where the run is written and the images are packed.
        rival: Gets a copy of what the stage trains, the network or its part behind the stored
            activations, compiled as the stage compiles its own; gives a function that trains an
            epoch and returns its seconds.

    Returns:
        Seconds an epoch, the program's and the rival's, without the first epoch, which compiles.
    """
    from kerascnn import load_experiment, run_experiment
    from kerascnn.engine.network.boundary import cut
    from kerascnn.engine.network.freezing import set_trainable
    from kerascnn.engine.observer import Observer
    from kerascnn.engine.prepare import prepare_experiment

    ours: list[float] = []
    theirs: list[float] = []

    class Turns(Observer):
        turn: Callable[[], float]

        def prepare(self, *arguments: Any) -> Any:
            prepared = prepare_experiment(*arguments)
            model, (plan,) = prepared.network.model, prepared.plans
            set_trainable(model, plan.layers, plan.batchnorm)
            self.turn = rival(_bare(cut(model).suffix))
            return prepared

        def epoch(self, epoch: Any, total: int) -> None:
            ours.append(epoch.metrics["seconds"])
            theirs.append(self.turn())

    file, turns = write_experiment(folder, experiment), Turns()
    with (
        chdir(folder),
        patch.dict(os.environ, environment(folder / "cache"), clear=True),
        patch("kerascnn.run.session.prepare_experiment", turns.prepare),
    ):
        run_experiment(load_experiment(file), turns)
    return ours[1:], theirs[1:]


def _bare(model: Any) -> Any:
    import keras

    from kerascnn.runtime.compilation import jit_compile

    bare = keras.models.clone_model(model)
    bare.compile(
        keras.optimizers.Adam(1e-3),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    return bare


def architecture(name: str, weights: str) -> dict[str, str]:
    """The table of the TOML; `sequential_cnn` has no weights to choose."""
    return {"name": name, **({} if name == "sequential_cnn" else {"weights": weights})}


def from_scratch(
    network: str,
    *,
    images: int,
    size: int,
    batch_size: int,
    epochs: int,
    unfreeze: str = "all",
    **training: Any,
) -> dict[str, Any]:
    """An experiment that trains the network, or its last blocks, on rendered images."""
    dataset = {"name": "shapes", "size": size, "train": images, "validation": 4, "test": 4}
    stage = {"name": "only", "unfreeze": unfreeze, "epochs": epochs + 1, "learning_rate": 1e-3}
    return {
        "name": network,
        "dataset": {**dataset, "classes": 2},
        "architecture": architecture(network, "none"),
        "training": {"image_size": size, "batch_size": batch_size, "keep": "last", **training},
        "stages": [stage],
    }
