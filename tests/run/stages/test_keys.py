"""What decides the result of a stage changes its key, and nothing else does."""

from dataclasses import replace

import numpy as np
import pytest

from kerascnn.engine.observer import Observer
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.experiment.bound import bind_experiment
from kerascnn.experiment.model import Experiment, Stage
from kerascnn.experiment.training import Training
from kerascnn.run.stages import keys as module
from kerascnn.run.stages.keys import stage_keys

EXPERIMENT = {
    "name": "keys",
    "dataset": {"name": "shapes", "classes": 2, "train": 16, "validation": 8, "test": 8},
    "augmentation": {"name": "light"},
    "architecture": {"name": "sequential_cnn", "depth": 2, "convolutions": 1, "filters": 4},
    "training": {"image_size": 16, "batch_size": 8},
    "stages": [
        {"name": "head", "epochs": 1, "learning_rate": 1e-2, "augmentation": False},
        {"name": "rest", "unfreeze": "all", "epochs": 2, "learning_rate": 1e-3, "batch_size": 4},
    ],
}
NEITHER, SECOND, BOTH = (), (1,), (0, 1)
FIRST = BOTH  # the second goes on from it
OF_STAGE = {
    "unfreeze": "last:1",
    "epochs": 3,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "optimizer": "adamw",
    "batch_size": 6,
    "gradient_accumulation": 2,
    "augmentation": "standard",
    "views": 2,
    "layer_decay": 0.5,
    "weight_decay": 0.1,
    "ema_fraction": 0.5,
    "clip_norm": 1.0,
    "loss": "focal",
    "label_smoothing": 0.1,
    "class_weights": {"circle": 2.0},
    "batchnorm": "frozen",
    "early_stopping": {"monitor": "val_loss"},
}
OF_TRAINING = {
    "image_size": (24, BOTH),
    "resize": ("pad", NEITHER),  # the images are square
    "value_range": ([0, 255], NEITHER),  # they have 8 bits
    "shuffle": ("blocks", BOTH),
    "shuffle_window": (5, NEITHER),  # of a full shuffle
    "crop_margin": (0.25, BOTH),
    "batch_size": (16, BOTH),
    "gradient_accumulation": (2, BOTH),
    "backend": (None, NEITHER),  # the same one by its name
    "devices": (1, NEITHER),  # their number counts, as below
    "precision": ("mixed_bfloat16", BOTH),
    "prefix_precision": ("mixed_bfloat16", BOTH),
    "prefix_engine": ("backend", BOTH),
    "view_seed": (1, NEITHER),  # there are no stored views
    "activations_gb": (1.0, NEITHER),  # enough for all
    "keep": ("last", BOTH),
    "checkpoint_seconds": (1.0, NEITHER),
    "on_bad_image": ("skip", NEITHER),
    "on_duplicate": ("skip", NEITHER),
    "stream_above_gb": (1.0, NEITHER),
    "temperature": (2.0, NEITHER),  # calibrates what is trained
}
CASES = {
    **{f"training.{key}": case for key, case in OF_TRAINING.items()},
    **{f"stages.rest.{key}": (value, SECOND) for key, value in OF_STAGE.items()},
    "stages.rest.name": ("second", NEITHER),
    "stages.rest.schedule ": ({"name": "cosine", "warmup_fraction": 0.5}, SECOND),
    "stages.head.learning_rate": (2e-2, FIRST),
    "name": ("other", NEITHER),
    "seed": (1, BOTH),
    "dataset": ({**EXPERIMENT["dataset"], "image_seed": 1}, BOTH),
    "dataset.train": (18, BOTH),
    "dataset.validation": (10, BOTH),
    "dataset.test": (10, NEITHER),
    "augmentation": ("standard", SECOND),
    "architecture": ({**EXPERIMENT["architecture"], "filters": 8}, BOTH),
    "metrics": (["balanced_accuracy"], BOTH),
    "observers": ([{"name": "command"}], NEITHER),
    "stages": ([*EXPERIMENT["stages"], {**EXPERIMENT["stages"][1], "name": "last"}], NEITHER),
    "training.activations_gb ": (0.0, FIRST),  # none are cached
}
QUICK = ("stages.rest.learning_rate", "dataset.test", "training.batch_size", "augmentation")


@pytest.fixture(scope="module")
def prepared(registry):
    """Prepares the experiment with some settings changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gc.collect", lambda *_: 0)  # takes most of the time
        patch.setenv("KERASCNN_COMMAND", "true")

        def prepare(**overrides):
            experiment = bind_experiment(EXPERIMENT, registry).with_overrides(overrides)
            return prepare_experiment(experiment, Observer())

        yield prepare


@pytest.fixture(scope="module")
def unchanged(prepared):
    return list(stage_keys(prepared()))


def changed(before, after):
    return tuple(stage for stage in range(2) if before[stage] != after[stage])


def marked(setting):
    return pytest.param(setting, marks=() if setting in QUICK else pytest.mark.long)  # 0.4 s each


@pytest.mark.parametrize("setting", map(marked, CASES))
def test_a_setting_changes_the_keys_of_the_stages_that_it_decides(prepared, unchanged, setting):
    value, stages = CASES[setting]
    if setting == "training.backend":
        value = prepared().backend
    keys = list(stage_keys(prepared(**{setting.strip(): value})))
    assert changed(unchanged, keys) == stages


def test_every_setting_is_in_the_table():
    apart = {"teacher", "train_on"}  # need a run and another `keep`; those of stages likewise
    assert {*OF_TRAINING} | apart == {*Training.model_fields}
    assert {*OF_STAGE, "name", "train_on"} == {*Stage.model_fields}
    of_a_run = {"update", "cluster"}  # seen in images, first weights and stages; in the devices
    assert {*Experiment.model_fields} - of_a_run <= {key.partition(".")[0] for key in CASES}


@pytest.mark.backend
def test_an_experiment_prepared_again_has_the_same_keys(prepared, unchanged):
    assert list(stage_keys(prepared())) == unchanged
    assert len({*unchanged}) == 2


@pytest.mark.long  # 0.4 s each
def test_the_seed_of_views_changes_the_stages_that_have_views(prepared):
    of_views = {"stages.rest.views": 2, "stages.rest.unfreeze": "head"}
    before, after = (
        list(stage_keys(prepared(**of_views, **{"training.view_seed": seed}))) for seed in (0, 1)
    )
    assert changed(before, after) == SECOND


def with_split(prepared, name, column, values):
    split = replace(getattr(prepared.data, name))
    vars(split)[column] = values  # a field, or a property that is computed once
    return replace(prepared, data=replace(prepared.data, **{name: split}))


@pytest.mark.parametrize(
    ("name", "stages"), [("train", BOTH), ("validation", BOTH), ("test", NEITHER)]
)
def test_one_image_or_one_label_changes_both_unless_it_is_for_the_test(prepared, name, stages):
    made = prepared()
    before, split = list(stage_keys(made)), getattr(made.data, name)
    for column in ("digests", "labels"):
        values = np.array(getattr(split, column))
        values[-1] ^= 1
        keys = list(stage_keys(with_split(made, name, column, values)))
        assert changed(before, keys) == stages, column


def test_weights_random_generators_versions_and_the_machine_change_both(prepared, monkeypatch):
    made = prepared()
    before = list(stage_keys(made))

    def differs():
        different = changed(before, list(stage_keys(made))) == BOTH
        monkeypatch.undo()
        return different

    monkeypatch.setattr(module, "installed_versions", lambda: {"keras": "4.0"})
    assert differs()
    monkeypatch.setattr(module, "device_name", lambda: "GPU")
    assert differs()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert differs()
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    assert not differs()
    monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "INFO")
    assert not differs()
    assert changed(before, list(stage_keys(replace(made, devices=2)))) == BOTH
    np.random.random()
    assert differs()
    before = list(stage_keys(made))
    bias = made.network.model.layers[-1].bias
    bias.assign_add([1e-6, 0])
    assert differs()


def test_stages_trained_on_more_images_are_others(prepared):
    last = {"training.keep": "last"}
    before = list(stage_keys(prepared(**last)))
    more = {**last, "training.train_on": "train+validation"}
    assert changed(before, list(stage_keys(prepared(**more)))) == BOTH
    head = {"stages.0.train_on": "train"}
    assert changed(before, list(stage_keys(prepared(**more, **head)))) == SECOND
