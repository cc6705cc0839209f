"""Exports a run's model to another format, and checks it in its own runtime."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.preparation import PADDING, Preparation
from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError, KerascnnError
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.export.conversion import convert
from kerascnn.results.export.exporter import BuiltExporter
from kerascnn.results.find import find_run
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.files import folder_bytes
from kerascnn.runtime.process import contained

IMAGES = 64
"""Images that both are compared on."""


@dataclass(frozen=True)
class Exported:
    """An exported model, checked in its runtime.

    Args:
        format: The name of the exporter.
        exporter: Its package, with its version.
        parameters: Its parameters, including defaults.
        path: The file, or the folder of a format of several files.
        description: A JSON file next to it: the classes, and how to prepare images.
        bytes: Size of the file or folder.
        images: Number of images that Keras and the runtime were compared on.
        asked_about: "test images", or "random images" if those of the run are gone.
        runtime: The package that ran the model, with its version.
        difference: Largest difference between two probabilities.
    """

    run_id: str
    format: str
    exporter: str
    parameters: dict[str, Any]
    path: str
    description: str
    bytes: int
    images: int
    asked_about: str
    runtime: str
    difference: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@contained()
def export_run(
    run: str | Result,
    format: str,
    output: str | Path | None = None,
    params: Mapping[str, Any] | None = None,
) -> Exported:
    """Writes a run's model in another format and checks that it gives the same probabilities.

    What is written takes float32 [N, S, S, 3] in 0-255, computes in float32, and gives the
    probabilities [N, K] of `predict`: the run's temperature is built in. A model trained on any
    backend can be exported; another process converts it, on the backend that the format needs.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result; `result.uncalibrated` omits
            the temperature.
        format: The name of an exporter, such as "keras", "saved_model", "onnx" or "litert".
        output: Path to write; default the run's name and id, with the suffix of the file or the
            name of the format, in the working directory.
        params: Parameters of the exporter; default none.

    Raises:
        InputError: No such run or exporter; the path exists; a package that the exporter needs is
            not installed.
        RunError: The probabilities differ from those of Keras; what was written is deleted.
    """
    if output is not None:
        expect(output, (str, os.PathLike), "output")
    expect(format, str, "format")
    params = params or {}
    expect(params, Mapping, "params")
    start, exporter = time.perf_counter(), BuiltExporter.find(format, params)
    result = find_run(run)
    exporter.check(result.training.image_size)
    if output is not None:
        _refuse_existing(Path(output))
    images, asked_about = _images(result)
    folder = Path(output or "").parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as scratch:
        written, difference = convert(exporter, result, params, Path(scratch), images)
        suffix = f"-{format}" if written.is_dir() else written.suffix
        path = Path(output or f"{result.name}-{result.run_id[:8]}{suffix}")
        _refuse_existing(path)
        shutil.move(written, path)
    exported = Exported(
        run_id=result.run_id,
        format=format,
        exporter=str(exporter.bound.registered.origin),
        parameters=exporter.bound.params.model_dump(mode="json"),
        path=str(path),
        description=f"{path}.json",
        bytes=folder_bytes(path),
        images=len(images),
        asked_about=asked_about,
        runtime=exporter.runtime,
        difference=difference,
        seconds=time.perf_counter() - start,
    )
    Path(exported.description).write_text(json.dumps(_description(result, exported), indent=2))
    return exported


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise InputError(f"{path} already exists; remove it, or choose another path with --output.")


def _images(result: Result) -> tuple[np.ndarray, str]:
    """Some of the run's test images, or noise if they are gone: float32 [N, S, S, 3]."""
    size = result.training.image_size
    try:
        test = load_data(bind_experiment(result.experiment), Observer()).test
        if test.fingerprint == result.data["test"]["fingerprint"]:
            some = np.linspace(0, len(test) - 1, min(IMAGES, len(test)), dtype=int)
            return Preparation.of(result.training).windows(test.images)[some].astype(
                np.float32
            ), "test images"
    except KerascnnError:
        pass
    noise = np.random.default_rng(0).uniform(0, 255, (IMAGES, size, size, 3))
    return noise.astype(np.float32), "random images"


def _description(result: Result, exported: Exported) -> dict[str, Any]:
    """What users of the model must know: its classes, and how to prepare an image."""
    preparation, size = Preparation.of(result.training), result.training.image_size
    return {
        "classes": result.class_names,
        "input": {"shape": [None, size, size, 3], "dtype": "float32", "range": [0, 255]},
        "output": {"shape": [None, len(result.class_names)], "dtype": "float32"},
        "temperature": result.temperature,  # built into the model
        "preparation": [
            *_depth(preparation),
            "apply the EXIF orientation; convert to RGB",
            _RESIZING[preparation.resize].format(preparation.packed_size),
            f"crop the central {size} × {size} pixels",
            "do not rescale values: the model does",
        ],
        "weights": result.weights,  # that the network started from, with their licences
        "run": result.run_id,
        "exporter": {
            "name": exported.format,
            "package": exported.exporter,
            "parameters": exported.parameters,
        },
        "checked": {
            "by": exported.runtime,
            "images": f"{exported.images} {exported.asked_about}",
            "greatest_difference": exported.difference,
        },
    }


def _depth(preparation: Preparation) -> list[str]:
    if preparation.value_range is None:
        return []
    black, white = preparation.value_range
    return [f"for more than 8 bits per channel, map {black:g} to 0 and {white:g} to 255"]


_RESIZING = {
    "crop": "resize the shorter side to {0} pixels, bicubic and antialiased, and crop the centre",
    "pad": "resize the longer side to {0} pixels, bicubic and antialiased, and pad the shorter "
    f"one with the colour {PADDING}",
    "stretch": "resize both sides to {0} pixels, bicubic and antialiased",
}
