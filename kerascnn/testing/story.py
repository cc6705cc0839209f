"""The events of a small run, made up: for observers to hear."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.events import Overview, StageStart
from kerascnn.engine.metrics.score import Standing, measure
from kerascnn.engine.result.run import Result
from kerascnn.engine.training.inputs import Cached
from kerascnn.engine.training.listener import Epoch
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.run.result.result import stage_table

Told = tuple[str, tuple[Any, ...]]  # an event and its arguments


@dataclass(frozen=True)
class Story:
    title: str
    events: list[Told]


RUN_ID = "0123456789abcdef0123456789abcdef"
EARLIER_ID = "89abcdef0123456789abcdef01234567"
NAMES = ("circle", "square")
LABELS = np.arange(8) % 2
EPOCHS = 2
EXPERIMENT = {
    "name": "story",
    "seed": 0,
    "dataset": {"name": "shapes", "classes": 2},
    "architecture": {"name": "sequential_cnn"},
    "training": {"image_size": 16, "batch_size": 8},
    "stages": [{"name": "all", "unfreeze": "all", "epochs": EPOCHS, "learning_rate": 1e-3}],
}
START = StageStart(
    number=1, total=1, name="all", choice="all", epochs=EPOCHS, epochs_before=0, batch_size=8
)


def stories(folder: Path) -> Iterator[Story]:
    """Runs that end in every way, each with a folder of its own in `folder` for its files.

    Together they have every event, with every kind of argument.
    """
    for number, (title, events) in enumerate(_STORIES.items()):
        place = folder / str(number)
        place.mkdir()
        yield Story(title, list(events(place)))


def _ends(folder: Path) -> Iterator[Told]:
    yield from _begins(folder)
    yield "stage_started", (START,)
    yield from _trains(1)
    yield from _closes(folder)


def _resumes(folder: Path) -> Iterator[Told]:
    yield from _begins(folder)
    yield "resumed", (START, 1, 0)
    yield "stage_started", (START,)
    yield from _closes(folder)


def _resumes_after_its_stages(folder: Path) -> Iterator[Told]:
    yield from _begins(folder)
    yield "resumed", (None, 0, 0)
    yield "ended", (_result(folder),)


def _takes_its_stage_from_an_earlier_run(folder: Path) -> Iterator[Told]:
    """Nothing is told between the start of the stage and its end."""
    yield from _begins(folder)
    yield "stage_started", (replace(START, reused_from=EARLIER_ID),)
    yield "stage_ended", (replace(_stage_result(), reused_from=EARLIER_ID, seconds=0.1),)
    yield "ended", (_result(folder),)


def _fails(folder: Path) -> Iterator[Told]:
    yield from _begins(folder)
    yield "stage_started", (START,)
    yield from _trains(1)
    yield "failed", (f"run {RUN_ID[:8]} failed: ValueError: no",)


def _fails_at_once(folder: Path) -> Iterator[Told]:
    yield "failed", ("cannot download images.tar.",)


def _is_interrupted(folder: Path) -> Iterator[Told]:
    yield from _begins(folder)
    yield "interrupted", ("interrupted",)


_STORIES: dict[str, Callable[[Path], Iterator[Told]]] = {
    "a run that ends": _ends,
    "a run that resumes": _resumes,
    "a run that resumes after its last stage": _resumes_after_its_stages,
    "a run that takes its stage from an earlier run": _takes_its_stage_from_an_earlier_run,
    "a run that fails": _fails,
    "a run that fails at once": _fails_at_once,
    "a run that is interrupted": _is_interrupted,
}


def _begins(folder: Path) -> Iterator[Told]:
    yield "started", (EXPERIMENT["name"], "tensorflow", "CPU")
    yield "download", ("weights.h5", 50, 100)
    yield "progress", ("packing train", 16, 16)
    yield "data_noted", (("few images",), "a state")
    yield "prepared", (_overview(),)
    yield "left_out", (["notes.txt: not an image"],)
    yield "tracked", (RUN_ID, "mlflow.db", str(folder))
    yield "warned", ("a note",)


def _overview() -> Overview:
    return Overview(
        experiment=EXPERIMENT,
        images={"train": 16, "validation": 8, "test": 8},
        class_names=NAMES,
        architecture="sequential_cnn",
        weights="",
        parameters=1234,
        blocks=("conv1", "conv2"),
        packed=16,
        data_seconds=0.1,
    )


def _trains(epoch: int) -> Iterator[Told]:
    yield from (("step", (done, 2)) for done in (1, 2))
    yield "epoch", (_epoch(epoch), EPOCHS)


def _closes(folder: Path) -> Iterator[Told]:
    yield from _trains(EPOCHS)
    yield "stage_ended", (_stage_result(),)
    yield "ended", (_result(folder),)


def _epoch(number: int) -> Epoch:
    metrics = {
        "train_loss": 1 / number,
        "train_accuracy": 0.5,
        "val_loss": 1 / number,
        "val_accuracy": 0.75,
        "learning_rate": 1e-3,
        "seconds": 0.5,
        "images_per_second": 32.0,
    }
    return Epoch(number, metrics)


def _stage_result() -> StageResult:
    return StageResult(
        name="all",
        choice="all",
        epochs=EPOCHS,
        seconds=1.0,
        trained_seconds=1.0,
        trainable_parameters=1234,
        trainable_layers=["conv1_conv", "head_dense"],
        boundary="input",
        own=Standing(0.75, 0.5, LABELS == 0),
        best_epoch=EPOCHS,
        before=None,
        kept=True,
        prefix_seconds=0.0,
        fit_seconds=1.0,
        cached=Cached("input", "none: the first layer is trainable"),
        frozen_sha256="0" * 64,
        ended_sha256="1" * 64,
        history=[_epoch(number) for number in (1, EPOCHS)],
    )


def _result(folder: Path) -> Result:
    test = measure(np.eye(2)[LABELS], LABELS, NAMES)
    return Result(
        run_id=RUN_ID,
        name="story",
        backend="tensorflow",
        test_accuracy=test.accuracy,
        test_accuracy_interval=test.interval,
        test=test.to_json(),
        stages=[stage_table(_stage_result())],
        class_names=list(NAMES),
        parameters=1234,
        seconds=5.0,
        data={split: {"images": 8, "fingerprint": split} for split in ("train", "validation")},
        experiment=EXPERIMENT,
        plugins={},
        artifacts=str(folder),
    )
