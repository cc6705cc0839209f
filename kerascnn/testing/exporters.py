"""The checks of an exporter: what it writes, and what that gives in a runtime of its own."""

import json
import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.network.head import classifier_head
from kerascnn.engine.network.inference import to_numpy
from kerascnn.errors import KerascnnError
from kerascnn.hookspecs import Exporter, kerascnn_exporters
from kerascnn.results.export.exporter import BuiltExporter
from kerascnn.runtime.backend import select_backend, silent_stderr, start_backend
from kerascnn.testing.checks import CheckError, SkipError, Subject, check, random_images
from kerascnn.testing.other_processes import (
    in_another_process,
    on_backend,
    on_other_backends,
)

SIZE, CLASSES, COUNT = 24, 5, 6  # of the images, of the network, of the batch
CLOSE = 1e-5  # rounding: allowed difference between a batch and its images one by one
LEAST_PRECISE = 0.05  # the highest tolerance: more would accept another class


@dataclass(frozen=True)
class Written:
    """What an exporter wrote, and what was seen meanwhile.

    Args:
        path: Where it is.
        expected: The probabilities of Keras, [N, K].
        strays: What it wrote elsewhere: names.
        changes: What it changed in the model: names.
    """

    path: Path
    expected: np.ndarray
    strays: tuple[str, ...]
    changes: tuple[str, ...]


class ExporterSubject(Subject):
    """An exporter, and a small network that it writes on the backend that it needs."""

    kind = "exporter"

    def make(self) -> Exporter:
        return self.built.exporter

    @cached_property
    def built(self) -> BuiltExporter:
        return BuiltExporter.find(self.bound.name, self.given)

    @cached_property
    def place(self) -> Path:
        """A folder that lasts as long as the subject."""
        folder = tempfile.mkdtemp(prefix="kerascnn-exporter-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    @cached_property
    def written(self) -> Written:
        return self.on_its_backend(written, self.place)

    @property
    def images(self) -> np.ndarray:  # [N, S, S, 3]
        return random_images(COUNT, SIZE).astype(np.float32)

    def on_its_backend(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls `function(subject, ...)` here, or in a process of the backend that it needs."""
        if self.built.backend == select_backend():
            return quietly(function, self, *arguments)
        return on_backend(self.built.backend, quietly, function, self, *arguments)


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function without what converters and runtimes print."""
    with silent_stderr():
        return function(*arguments)


def written(subject: ExporterSubject, place: Path, seed: int = 0) -> Written:
    """Writes a network below a place, and looks at what else has changed."""
    model, place = network(seed), Path(tempfile.mkdtemp(dir=place))
    exporter = subject.built  # in the working directory of its parameters
    expected, before = to_numpy(model(subject.images)), state(model)
    folder, elsewhere = place / "given", place / "working"
    folder.mkdir()
    elsewhere.mkdir()
    with chdir(elsewhere):
        path = exporter.write(model, folder)
    found = {*place.iterdir(), *elsewhere.iterdir()} - {folder, elsewhere}
    after = state(model)
    return Written(
        path,
        expected,
        strays=tuple(sorted(file.name for file in found)),
        changes=tuple(name for name in before if before[name] != after[name]),
    )


def network(seed: int) -> Any:
    """A functional model with the layers that formats treat in their own ways."""
    start_backend()
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1, name="stem_rescaling")(images)
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="stem_conv")(x)
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = layers.ReLU(name="stem_relu")(x)
    return keras.Model(images, classifier_head(x, CLASSES, zero_initialized=False))


def state(model: Any) -> dict[str, Any]:
    """What an exporter might change in a model."""
    return {
        "weights": [to_numpy(weight.value).tobytes() for weight in model.weights],
        "configuration": json.dumps(model.get_config(), default=str, sort_keys=True),
        "trainable weights": [weight.path for weight in model.trainable_weights],
    }


def predictions(subject: ExporterSubject, path: Path, images: np.ndarray) -> np.ndarray:
    """What the exporter predicts; in a process that may not have chosen a backend."""
    select_backend()
    return subject.built.predict(path, images)


@check(kerascnn_exporters)
def builds(subject: ExporterSubject) -> str:
    """The builder returns a kerascnn.Exporter of two functions, with a backend of Keras or none,
    and a tolerance of at most 0.05."""
    made = subject.made
    if not (callable(made.write) and callable(made.predict)):
        raise CheckError("write or predict is not a function")
    if not 0 < made.tolerance <= LEAST_PRECISE:
        raise CheckError(f"a tolerance of {made.tolerance}")
    return subject.built.runtime


@check(Exporter)
def writes_into_its_folder(subject: ExporterSubject) -> str:
    """write creates one or more files in the folder that it is given, and returns the path of the
    only file, or of the folder; it writes nothing elsewhere."""
    if strays := subject.written.strays:
        raise CheckError(f"it also wrote {', '.join(strays)}")
    return "a folder" if subject.written.path.is_dir() else subject.written.path.name


@check(Exporter)
def leaves_the_model(subject: ExporterSubject) -> None:
    """write leaves the model's weights, layers and trainability as they were."""
    if changes := subject.written.changes:
        raise CheckError(f"it changes the model's {', '.join(changes)}")


@check(Exporter)
def predicts_as_keras(subject: ExporterSubject) -> str:
    """What was written gives the probabilities of Keras, to within the tolerance."""
    difference = subject.on_its_backend(_difference, subject.written)
    return f"{difference:.0e}"


def _difference(subject: ExporterSubject, seen: Written) -> float:
    return subject.built.compare(seen.path, subject.images, seen.expected)


@check(Exporter)
def any_number_of_images(subject: ExporterSubject) -> None:
    """predict returns float32 [N, K] for any number N of images: for one image what it gives for
    that image among several."""
    images, path = subject.images, subject.written.path
    together = subject.on_its_backend(predictions, path, images)
    alone = subject.on_its_backend(predictions, path, images[-1:])
    for found in (together, alone):
        if found.dtype != np.float32 or found.shape[1:] != (CLASSES,):
            raise CheckError(f"{found.dtype} {list(found.shape)} of {len(found)} images")
    if not (difference := abs(together[-1:] - alone).max()) <= CLOSE:
        raise CheckError(f"the probabilities of an image alone differ by up to {difference:.1e}")


@check(Exporter)
def writes_again(subject: ExporterSubject) -> None:
    """The same exporter writes another model into another folder, which leaves the first alone."""
    first = subject.written
    again = subject.on_its_backend(written, subject.place, 1)
    for seen, which in ((again, "second"), (first, "first")):
        try:
            subject.on_its_backend(_difference, seen)
        except KerascnnError as error:
            raise CheckError(f"the {which} of two: {error}") from error


@check(Exporter)
def same_in_another_process(subject: ExporterSubject) -> None:
    """In a process that has not built the model, and at another path, predict gives the same: all
    that it needs is in what was written."""
    seen = subject.written
    expected = subject.on_its_backend(predictions, seen.path, subject.images)
    moved = seen.path.rename(seen.path.with_name(f"moved{seen.path.suffix}"))
    try:
        found = in_another_process(quietly, predictions, subject, moved, subject.images)
    finally:
        moved.rename(seen.path)
    if not (difference := abs(found - expected).max()) <= CLOSE:
        raise CheckError(f"the probabilities differ by up to {difference:.1e}")


@check(Exporter)
def same_on_all_backends(subject: ExporterSubject) -> str:
    """An exporter that names no backend writes on each of them what predicts as Keras does."""
    if subject.made.backend:
        raise SkipError(f"it writes on {subject.made.backend}")
    return ", ".join(on_other_backends(quietly, _written_and_compared, subject))


def _written_and_compared(subject: ExporterSubject) -> float:
    with tempfile.TemporaryDirectory() as place:
        return _difference(subject, written(subject, Path(place)))
