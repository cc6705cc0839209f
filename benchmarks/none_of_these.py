"""How well finished runs notice images of none of their classes, and how often their sets hold.

Each class is left out in turn, on the features that the run keeps. Images of other things are
rendered: shapes, textures and digits. Sets of classes are drawn by one half of the validation and
test images and judged by the other, twenty times.

With --data and --experiment the recipe is also trained once without each class, whose images are
then compared with the test images: as a class that is really new.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import chdir
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import KERASCNN, document, report
from PIL import Image, ImageDraw, ImageFont

from kerascnn.components.builtin.shape_drawing import OUTSIDE, draw
from kerascnn.engine.load import load_data
from kerascnn.engine.metrics.conformal import prediction_sets, set_threshold
from kerascnn.engine.metrics.novelty import MEASURES, Examples, area
from kerascnn.engine.metrics.significance import wilson_interval
from kerascnn.engine.observer import Observer
from kerascnn.engine.result.run import PREDICTIONS, VALIDATION_PREDICTIONS, Result
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.find import find_run
from kerascnn.results.inference.images import read_images
from kerascnn.results.inference.predict import outputs_of
from kerascnn.results.known.images import KnownImages
from kerascnn.results.known.rejection import SHARE, Rejection, leave_out, noticed
from kerascnn.results.predictions import read_predictions

SIDE, SPLITS, COVERAGE = 224, 20, 0.95
AS_FOLDERS_ARE = "training.on_duplicate=skip"


def shape(rng: np.random.Generator) -> np.ndarray:
    return draw(str(rng.choice([*OUTSIDE])), SIDE, rng)


def texture(rng: np.random.Generator) -> np.ndarray:
    """Stripes, checks, rings or noise in two random colours: uint8 [S, S, 3]."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    turn, width = rng.uniform(0, np.pi), rng.uniform(6, 40)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    coarse = Image.fromarray(rng.integers(0, 256, (rng.integers(4, 60),) * 2, np.uint8))
    patterns = (
        np.sin(along / width * np.pi),
        np.sin(along / width * np.pi) * np.sin(across / width * np.pi),
        np.sin(np.hypot(x - SIDE / 2, y - SIDE / 2) / width * np.pi),
        np.asarray(coarse.resize((SIDE, SIDE)), float) / 127.5 - 1,
    )
    share = (patterns[rng.integers(len(patterns))][..., None] > rng.uniform(-0.3, 0.3)) * 1.0
    first, second = rng.uniform(0, 255, (2, 3))
    return (first + (second - first) * share).astype(np.uint8)


def digits(rng: np.random.Generator) -> np.ndarray:
    """A number of one to four digits on one colour: uint8 [S, S, 3]."""
    paper, ink = (tuple(map(int, rng.integers(*of, 3))) for of in ((160, 256), (0, 100)))
    image = Image.new("RGB", (SIDE, SIDE), paper)
    text, size = str(rng.integers(1, 10_000)), float(rng.integers(50, 90))
    x, y = map(int, rng.integers(5, 60, 2))
    ImageDraw.Draw(image).text((x, y), text, ink, ImageFont.load_default(size))
    return np.asarray(image)


OTHERS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "shapes": shape,
    "textures": texture,
    "digits": digits,
}


@click.command()
@click.argument("runs", nargs=-1)
@click.option("--images", default=100, show_default=True, help="Images of each other thing.")
@click.option("--data", type=click.Path(exists=True, resolve_path=True, path_type=Path))
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True))
def main(runs: tuple[str, ...], images: int, data: Path | None, experiment: str | None) -> None:
    """Say how well each of the RUNS notices what it does not know, and how its sets hold."""
    said = {"runs": [figures(find_run(run), images) for run in runs]}
    if data and experiment:
        said["never_seen"] = [never_seen(data, of.name, experiment) for of in class_folders(data)]
    report("none_of_these", said)


def class_folders(data: Path) -> list[Path]:
    return sorted(path for path in data.iterdir() if path.is_dir())


def never_seen(data: Path, unknown: str, experiment: str) -> dict[str, Any]:
    """How well a run on the other classes notices the images of one, by each measure."""
    with tempfile.TemporaryDirectory() as place, chdir(place):
        for folder in class_folders(data):
            if folder.name != unknown:
                Path("photos", folder.name).mkdir(parents=True)
                for file in folder.iterdir():
                    shutil.copy(file, Path("photos", folder.name))
        words = ("--set", f"dataset.path={Path(place, 'photos')}", "--set", AS_FOLDERS_ARE)
        run = find_run(document([*KERASCNN, "run", experiment, *words, "--json"], Path())["run_id"])
        rejection = Rejection(run, SHARE)
        features = [
            features_of(run, pixels)
            for pixels in (
                load_data(bind_experiment(run.experiment), Observer()).test.images,
                read_images(sorted(map(str, (data / unknown).iterdir())), run),
            )
        ]
        known = KnownImages.read(run)
        examples = Examples(known.features[known.trained], known.labels[known.trained])
        scores = {name: [*map(of(examples), features)] for name, of in MEASURES.items()}
        strange = rejection.scores(features[1])
        left_out = {name: noticed(run).mean(name) for name in MEASURES}
    return {
        "class": unknown,
        "test_accuracy": run.test_accuracy,
        "measure": rejection.measure,
        "left_out": left_out,
        "auroc": {name: area(*both) for name, both in scores.items()},
        "refused": float((strange > rejection.threshold).mean()),
    }


def features_of(run: Result, pixels: Any) -> np.ndarray:
    _, features, _ = outputs_of(run, pixels, "auto", Observer().warned, with_features=True)
    assert features is not None
    return features


def figures(run: Result, images: int) -> dict[str, Any]:
    left_out = leave_out(KnownImages.read(run))
    rejection = Rejection(run, SHARE)

    def refused(pixels: Any) -> dict[str, Any]:
        count = int((rejection.scores(features_of(run, pixels)) > rejection.threshold).sum())
        return {"share": count / len(pixels), "interval": wilson_interval(count, len(pixels))}

    rng = np.random.default_rng(0)
    drawn = {name: [make(rng) for _ in range(images)] for name, make in OTHERS.items()}
    test = load_data(bind_experiment(run.experiment), Observer()).test
    return {
        "data": Path(str(run.experiment["dataset"].get("path", ""))).name,
        "stages": [stage["unfreeze"] for stage in run.stages],
        "test_accuracy": run.test_accuracy,
        "measure": rejection.measure,
        "auroc": {name: left_out.mean(name) for name in MEASURES},
        "refused_of_left_out": left_out.refused,
        "classes": [asdict(of) for of in left_out.classes],
        "known_refused": refused(test.images),
        "others_refused": {name: refused(read_images(of, run)) for name, of in drawn.items()},
        "sets": sets(run),
    }


def sets(run: Result) -> dict[str, Any]:
    """Coverage and size of sets over splits of the validation and test images in halves."""
    said = [
        read_predictions(Path(run.folder, file), run.class_names)
        for file in (VALIDATION_PREDICTIONS, PREDICTIONS)
    ]
    probabilities = np.concatenate([of.probabilities for of in said])
    labels, held, sizes = np.concatenate([of.labels for of in said]), list[float](), list[float]()
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(labels))
        first, second = np.array_split(order, 2)
        least = set_threshold(probabilities[first], labels[first], COVERAGE)
        chosen = prediction_sets(probabilities[second], least)
        held.append(float(chosen[np.arange(len(second)), labels[second]].mean()))
        sizes.append(float(chosen.sum(1).mean()))
    return {
        "asked": COVERAGE,
        "mean": float(np.mean(held)),
        "deviation": float(np.std(held)),
        "size": float(np.mean(sizes)),
    }


if __name__ == "__main__":
    main()
