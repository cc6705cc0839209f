"""On a GPU: training out of the store, against the same train step on data that is there.

The whole network on packed images, and its last block on stored activations. Each in a process of
its own, on each backend: the program's epochs, and in turn with them the same model's compiled
train step, again and again on one batch of synthetic data that lies on the device.
"""

import json
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from common import beside, from_scratch, report, script

from kerascnn.runtime.backend import installed_backends, start_backend
from kerascnn.runtime.devices import device_name


@click.command()
@click.option("--network", "networks", multiple=True, default=["resnet50", "vgg16"])
@click.option("--backend", "backends", multiple=True, help="Default: all that are installed.")
@click.option("--unfreeze", multiple=True, default=["all", "last:1"], show_default=True)
@click.option("--images", default=4096, show_default=True)
@click.option("--image-size", default=224, show_default=True, help="Pixels.")
@click.option("--batch-size", default=128, show_default=True)
@click.option("--epochs", default=4, show_default=True, help="Each; one more of each compiles.")
@click.option("--small", is_flag=True, help="To try it on a CPU: 32 small images.")
@click.option("--one", is_flag=True, hidden=True, help="This process's own: one network.")
def main(
    networks: tuple[str, ...],
    backends: tuple[str, ...],
    unfreeze: tuple[str, ...],
    one: bool,
    **options: Any,
) -> None:
    """Measure images a second; the goal is 0.9 of what the device does on its own data."""
    if options["small"]:
        options |= {"images": 32, "image_size": 32, "batch_size": 8, "epochs": 2}
    if one:
        click.echo(json.dumps(measure(networks[0], backends[0], unfreeze[0], options)))
        return
    figures = {}
    for backend, network, part in product(backends or installed_backends(), networks, unfreeze):
        chosen = ("--one", "--network", network, "--backend", backend, "--unfreeze", part)
        figures[f"{network}, {part} on {backend}"] = script("gpu.py", *chosen, *words(options))
    report("gpu", {"settings": options, "rows": figures})


def words(options: dict[str, Any]) -> list[Any]:
    """The options as another process takes them."""
    small = ["--small"] if options["small"] else []
    numbers = ("images", "image_size", "batch_size", "epochs")
    pairs = [(f"--{name.replace('_', '-')}", options[name]) for name in numbers]
    return small + [word for pair in pairs for word in pair]


def measure(network: str, backend: str, unfreeze: str, options: dict[str, Any]) -> dict[str, Any]:
    start_backend(backend)
    device = device_name()
    if not device.startswith("GPU") and not options["small"]:
        return {"measured": False, "why": "no GPU", "device": device}
    images, batch_size = options["images"], options["batch_size"]
    experiment = from_scratch(
        network,
        images=images,
        size=options["image_size"],
        batch_size=batch_size,
        epochs=options["epochs"],
        unfreeze=unfreeze,
        backend=backend,
        precision="float32" if options["small"] else "mixed_bfloat16",  # slow on a CPU
    )
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = beside(experiment, Path(folder), steps_on_device(images, batch_size))
    return {
        "measured": True,
        "device": device,
        "images_per_second": images / median(ours),
        "synthetic_images_per_second": images / median(bare),
        "ratio": median(bare) / median(ours),
        "seconds": ours,
        "synthetic_seconds": bare,
    }


def steps_on_device(images: int, batch_size: int) -> Callable[[Any], Callable[[], float]]:
    """The train step alone, as `common.beside` wants its rival."""

    def rival(model: Any) -> Callable[[], float]:
        from keras import ops

        rng = np.random.default_rng(0)
        shape = (batch_size, *model.input_shape[1:])
        pixels = ops.convert_to_tensor(rng.uniform(0, 255, shape), "float32")
        targets = np.eye(model.output_shape[-1])[rng.integers(0, 2, batch_size)]
        batch = (pixels, ops.convert_to_tensor(targets, "float32"))
        step = train_step(model, batch)

        def epoch() -> float:
            start = time.perf_counter()
            for _ in range(images // batch_size):
                logs = step()
            float(ops.convert_to_numpy(logs["loss"]))  # waits for the device
            return time.perf_counter() - start

        return epoch

    return rival


def train_step(model: Any, batch: tuple[Any, Any]) -> Callable[[], dict[str, Any]]:
    """The step that `Model.fit` would take, compiled as it would be."""
    import keras

    model.train_on_batch(*batch)  # builds the optimizer and the metrics
    if keras.config.backend() != "jax":
        return lambda: model.train_function([batch])
    kinds = ("trainable", "non_trainable", "optimizer", "metrics")
    state = model._get_jax_state(**{f"{kind}_variables": True for kind in kinds})

    def step() -> dict[str, Any]:
        nonlocal state  # each step gives its buffers on to the next
        logs, state = model.train_function(state, iter([batch]))
        return logs

    return step


if __name__ == "__main__":
    main()
