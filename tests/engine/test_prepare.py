"""A second question computes only what is new in it."""

import shutil

import numpy as np
import pytest
from PIL import Image

from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.engine.training.inputs import make_inputs
from kerascnn.experiment.bound import bind_experiment

VIEWS = 2
COUNTS = {"train": 12, "validation": 4, "test": 4}
FIRST = (12 + 4, VIEWS * 12 + 4)  # rows of the head stage and of the second


pytestmark = pytest.mark.long  # a network is built for each question


def draw(folder, split, number):
    rng = np.random.default_rng([len(split), number])
    place = folder / split / ("left", "right")[number % 2]
    place.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(place / f"{split}{number}.png")


@pytest.fixture(scope="module")
def first(shared_workplace, registry):
    """A recipe of two stages on a folder of images, whose frozen parts have run once."""
    for split, count in COUNTS.items():
        for number in range(count):
            draw(shared_workplace / "images", split, number)
    recipe = {
        "name": "first",
        "dataset": {"name": "image_folder", "path": str(shared_workplace / "images")},
        "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 4},
        "augmentation": {"name": "standard", "mixup": 0.2},
        "training": {"image_size": 16, "batch_size": 4, "crop_margin": 0.1},
        "stages": [
            {"name": "head", "augmentation": False, "epochs": 1, "learning_rate": 1e-3},
            {
                "name": "finetune",
                "unfreeze": "last:1",
                "views": VIEWS,
                "epochs": VIEWS,
                "learning_rate": 1e-4,
            },
        ],
    }
    experiment = bind_experiment(recipe, registry)
    prepared = prepare_experiment(experiment, Observer())
    weights = prepared.network.model.get_weights()
    assert computed(prepared) == (sum(COUNTS.values()), FIRST)
    return experiment, weights


def computed(prepared):
    """The images packed, and the rows that the frozen part of each stage ran for."""
    rows = []
    for plan in prepared.plans:
        set_trainable(prepared.network.model, plan.layers, plan.batchnorm)
        inputs = make_inputs(cut(prepared.network.model), plan, *prepared.examples(plan))
        rows.append(inputs.cached.made)
    return sum(packed.made for packed in prepared.data.splits().values()), tuple(rows)


def another(first, changes):
    """With changes to the experiment; its network starts as the first, as if it were pretrained."""
    experiment, weights = first
    prepared = prepare_experiment(experiment.with_overrides(changes), Observer())
    prepared.network.model.set_weights(weights)
    return computed(prepared)


@pytest.mark.parametrize(
    "changes",
    [
        {"training.batch_size": 8, "stages.finetune.batch_size": 3},
        {"stages.head.learning_rate": 0.1, "stages.finetune.optimizer": "adamw"},
        {"stages.finetune.epochs": 5},
        {"seed": 1},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_it_computes_nothing_where_images_network_and_views_are_the_same(first, changes):
    assert another(first, changes) == (0, (0, 0))


def test_a_third_stage_at_the_same_boundary_computes_nothing(first):
    head, finetune = first[0].resolved["stages"]
    stages = {"stages": [head, finetune, {**finetune, "name": "more"}]}
    assert another(first, stages) == (0, (0, 0, 0))


def test_it_computes_other_views_where_their_seed_or_augmentation_differs(first):
    assert another(first, {"training.view_seed": 1}) == (0, (0, VIEWS * 12))
    assert another(first, {"augmentation.horizontal_flip": 0.0}) == (0, (0, VIEWS * 12))


def test_mixing_decides_no_view(first):
    assert another(first, {"augmentation.mixup": 0.0}) == (0, (0, 0))
    assert another(first, {"augmentation.cutmix": 1.0}) == (0, (0, 0))


def test_another_split_computes_what_its_images_have_not_been_yet(first, shared_workplace):
    split = shared_workplace / "another split"
    shutil.copytree(shared_workplace / "images", split)
    for source, target in (("test", "train"), ("train", "validation")):
        file = next((split / source / "left").glob(f"{source}*"))
        shutil.move(file, split / target / "left")
    # the image of the test split is seen for the first time, the other for the first time plain
    assert another(first, {"dataset.path": str(split)}) == (0, (1, VIEWS + 1))


def test_ten_images_more_cost_ten_times_the_views(first, shared_workplace):
    more = shared_workplace / "more"
    shutil.copytree(shared_workplace / "images", more)
    for split, numbers in {"train": range(100, 108), "validation": range(100, 102)}.items():
        for number in numbers:
            draw(more, split, number)
    assert another(first, {"dataset.path": str(more)}) == (10, (8 + 2, VIEWS * 8 + 2))
    assert another(first, {"dataset.path": str(more)}) == (0, (0, 0))
