"""An epoch of a stage with everything unfrozen, against bare `Model.fit` on arrays in memory.

The same network, batch size, optimizer and compile arguments in one process, epoch about epoch, so
bare Keras has a run's deterministic kernels too. Neither validates in what is timed. Of bare Keras
that is from an epoch's begin to its end, as its callbacks tell: on TensorFlow `fit` then waits for
its data's autotuner, which with many epochs in one call it does once.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from common import beside, from_scratch, report


@click.command()
@click.option("--network", "networks", multiple=True, default=["efficientnet_lite0"])
@click.option("--backend", type=click.Choice(["auto", "tensorflow", "jax", "torch"]))
@click.option("--images", default=512, show_default=True)
@click.option("--image-size", default=96, show_default=True, help="Pixels.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--epochs", default=5, show_default=True, help="Each; one more of each compiles.")
def main(
    networks: tuple[str, ...],
    backend: str | None,
    images: int,
    image_size: int,
    batch_size: int,
    epochs: int,
) -> None:
    """Time the program's epochs and bare Keras's in turn; the goal is a ratio of 1.03 or less."""
    figures = {}
    for network in networks:
        experiment = from_scratch(
            network,
            images=images,
            size=image_size,
            batch_size=batch_size,
            epochs=epochs,
            backend=backend or "auto",
        )
        with tempfile.TemporaryDirectory() as folder:
            ours, bare = beside(experiment, Path(folder), fit_on_arrays(images, batch_size))
        figures[network] = {
            "images_per_second": images / median(ours),
            "bare_images_per_second": images / median(bare),
            "ratio": median(ours) / median(bare),
            "seconds": ours,
            "bare_seconds": bare,
        }
    report("epoch", {"images": images, "image_size": image_size, "networks": figures})


def fit_on_arrays(images: int, batch_size: int) -> Callable[[Any], Callable[[], float]]:
    """Bare Keras as `common.beside` wants its rival."""

    def rival(model: Any) -> Callable[[], float]:
        import keras

        class Stopwatch(keras.callbacks.Callback):
            async_safe = True  # looks at no step
            start = seconds = 0.0

            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                self.start = time.perf_counter()

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                self.seconds = time.perf_counter() - self.start

        rng = np.random.default_rng(0)
        inputs = rng.uniform(0, 255, (images, *model.input_shape[1:])).astype(np.float32)
        labels = rng.integers(0, model.output_shape[-1], images)
        targets = np.eye(model.output_shape[-1], dtype=np.float32)[labels]  # [N, K]

        def epoch() -> float:
            stopwatch = Stopwatch()
            model.fit(inputs, targets, batch_size, verbose=0, callbacks=[stopwatch])
            return stopwatch.seconds

        return epoch

    return rival


if __name__ == "__main__":
    main()
