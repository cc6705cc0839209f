"""Runs on several devices, in a process of its own: a backend starts with those it simulates.

`python tests/spreading.py BACKEND 1,2,2-1` trains one experiment on one device, on two, and on two
until it is interrupted and resumed on one; it prints what came of each as one JSON document. After
`2!` it prints why a run fails where TensorFlow's BatchNorm has the moments of each device's part.
A third argument is a JSON object of settings.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from kerascnn.engine.observer import Observer

EXPERIMENT = """
name = "spread"
dataset = { name = "shapes", train = 40, validation = 12, test = 8 }
augmentation = "light"
[architecture]
name = "sequential_cnn"
depth = 3
convolutions = 1
filters = 4
dense_units = []
pooling = "average"
dropout = 0.3
[training]
image_size = 16
batch_size = 16
keep = "last"
checkpoint_seconds = 0
[[stages]]
name = "head"
epochs = 2
learning_rate = 1e-2
augmentation = false
optimizer = "sgd"
[[stages]]
name = "rest"
unfreeze = "last:2"
batchnorm = "train"
epochs = 2
learning_rate = 3e-3
optimizer = "sgd"
class_weights = "balanced"
clip_norm = 0.1
ema_fraction = 0.5
"""
CLOCK = ("seconds", "images_per_second")


def main(backend, counts, settings):
    os.environ.update(KERAS_BACKEND=backend, TF_CPP_MIN_LOG_LEVEL="3")
    if backend == "jax":
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=4"

    if backend == "tensorflow":
        simulate(4)

    import mlflow  # noqa: F401

    import kerascnn.run.runner
    from kerascnn import load_experiment

    kerascnn.run.runner.draw_report = lambda *_: None
    Path("spread.toml").write_text(EXPERIMENT)
    experiment = load_experiment("spread.toml", settings)
    return [
        told(trained(experiment, *map(int, count.split("-"))))
        if count[-1] != "!"
        else fault_of_parts(experiment, int(count[:-1]))
        for count in counts
    ]


def trained(experiment, devices, then=None):
    from kerascnn import run_experiment

    if then is None:
        return run_experiment(experiment, Observer(), fresh=True, devices=devices)
    with suppress(KeyboardInterrupt):
        run_experiment(experiment, interrupting(), fresh=True, devices=devices)
    return run_experiment(experiment, Observer(), resume="last", devices=then)


def fault_of_parts(experiment, devices):
    from kerascnn import RunError
    from kerascnn.engine.training.devices.on_tensorflow import TensorFlowDevices

    TensorFlowDevices._reduced = lambda devices, mean, variance: (mean, variance)
    try:
        trained(experiment, devices)
    except RunError as error:
        return str(error)


class After(Observer):
    """Acts after a number of steps."""

    def __init__(self, steps, act):
        self.steps, self.act = steps, act

    def step(self, done, total):
        self.steps -= 1
        if self.steps == 0:
            self.act()


def interrupting():
    """Interrupts a run in the first epoch of its second stage."""
    return After(8, lambda: os.kill(os.getpid(), signal.SIGINT))


def simulate(devices):
    """TensorFlow counts so many logical CPUs as devices."""
    import tensorflow

    (cpu,) = tensorflow.config.list_physical_devices("CPU")
    logical = [tensorflow.config.LogicalDeviceConfiguration()] * devices
    tensorflow.config.set_logical_device_configuration(cpu, logical)


def told(result):
    return {
        "devices": result.devices,
        "losses": [epoch[loss] for epoch in result.history for loss in ("train_loss", "val_loss")],
        "history": [{k: v for k, v in epoch.items() if k not in CLOCK} for epoch in result.history],
        "sha256": [stage["ended_sha256"] for stage in result.stages],
        "weights": [weights.ravel().tolist() for weights in result.model.get_weights()],
    }


def fail(loop):
    """In place of `Loop._end_epoch`."""
    raise ZeroDivisionError("after an epoch")


def failing(job):
    """Follows as `kerascnn.run.stages.rank.follow_as` does, and fails after the first epoch."""
    from kerascnn.engine.training.epochs import Loop
    from kerascnn.run.stages.rank import follow_as

    Loop._end_epoch = fail
    return follow_as(job)


def failing_at(rank, launched, *part):
    """Trains as `kerascnn.run.cluster.supervised.train` does; one process fails after an epoch."""
    from kerascnn.engine.training.epochs import Loop
    from kerascnn.run.cluster.supervised import train

    if launched.rank == rank:
        Loop._end_epoch = fail
    return train(launched, *part)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):  # pytest keeps each of its workers to a core
        os.sched_setaffinity(0, range(os.cpu_count()))
    backend, counts, *settings = sys.argv[1:]
    settings = json.loads(settings[0]) if settings else {}
    sys.stdout.write(json.dumps(main(backend, counts.split(","), settings)))
