"""Sweeps that cannot be: one message each, before anything is trained."""

import pytest

from kerascnn.errors import InputError
from kerascnn.studies.sweep.plan.asked import of_options
from kerascnn.studies.sweep.plan.load import load_sweep
from kerascnn.studies.sweep.trials.storage import check_storage

RATE = '"stages.scratch.learning_rate" = { from = 1e-4, to = 1e-2 }'
TABLE = "expected { from = LOW, to = HIGH } or { one_of = [VALUE, …] }"
LINE = "sweep.toml, line"

FILES = {
    "no such key": (
        '"stages.scratch.learning_rat" = { from = 1e-4, to = 1e-2 }',
        f"{LINE} 3: stages.scratch.learning_rat = 0.0001: unknown key. Did you mean "
        '"learning_rate"?',
    ),
    "no such stage": (
        f'{RATE}\n"stages.head.epochs" = {{ one_of = [1, 2] }}',
        f'{LINE} 4: stages.head.epochs: stages has no "head". It has scratch.',
    ),
    "an empty range": (
        '"stages.scratch.learning_rate" = { from = 1e-2, to = 1e-4 }',
        f"{LINE} 3: stages.scratch.learning_rate = {{ from = 0.01, to = 0.0001 }}: the range is "
        "empty: expected its low end below its high end.",
    ),
    "log from 0": (
        '"stages.scratch.weight_decay" = { from = 0, to = 1e-2, log = true }',
        f"{LINE} 3: stages.scratch.weight_decay = {{ from = 0, to = 0.01, log = true }}: a "
        "logarithmic range begins above 0.",
    ),
    "an end that the experiment refuses": (
        '"stages.scratch.label_smoothing" = { from = 0, to = 1 }',
        f"{LINE} 3: stages.scratch.label_smoothing = 1: expected a number less than 1.",
    ),
    "a choice that the experiment refuses": (
        '"architecture" = { one_of = ["sequential_cnn", "sequential_cn"] }',
        f'{LINE} 3: architecture.name = "sequential_cn": unknown architecture. Did you mean '
        '"sequential_cnn"?',
    ),
    "a component's key on components that lack it": (
        '"stages.scratch.schedule" = { one_of = ["constant", "step"] }\n'
        '"stages.scratch.schedule.warmup" = { one_of = [0.1, 0.2] }',
        f"{LINE} 4: stages.scratch.schedule.warmup: none of constant, step has this key.",
    ),
    "the same key twice": (
        f'{RATE}\n"stages.0.learning_rate" = {{ one_of = [1e-3, 1e-2] }}',
        f"{LINE} 4: stages.0.learning_rate: the sweep already tries stages.scratch.learning_rate.",
    ),
    "a table and a key in it": (
        '"stages.scratch.schedule" = { one_of = [{ name = "cosine" }] }\n'
        '"stages.scratch.schedule.name" = { one_of = ["constant", "cosine"] }',
        f"{LINE} 4: stages.scratch.schedule.name: the sweep already tries stages.scratch.schedule.",
    ),
    "a misspelt form": (
        '"stages.scratch.learning_rate" = { from = 1e-4, too = 1e-2 }',
        f'{LINE} 3: stages.scratch.learning_rate.too = 0.01: unknown key. Did you mean "to"?',
    ),
    "half a range": (
        '"stages.scratch.learning_rate" = { from = 1e-4 }',
        f"{LINE} 3: stages.scratch.learning_rate = {{ from = 0.0001 }}: {TABLE}.",
    ),
    "a number alone": (
        '"stages.scratch.learning_rate" = 1e-4',
        f"{LINE} 3: stages.scratch.learning_rate = 0.0001: expected a table",
    ),
    "other images": (
        '"dataset.train" = { one_of = [8, 16] }',
        f"{LINE} 3: dataset.train: every trial must be judged on the same validation images.",
    ),
    "a key that decides nothing": (
        '"training.backend" = { one_of = ["jax", "torch"] }',
        f"{LINE} 3: training.backend: it does not affect the result.",
    ),
    "a fraction of a whole number": (
        '"training.batch_size" = { from = 4, to = 8, step = 0.5 }',
        f"{LINE} 3: training.batch_size: it is a whole number, and so must be its step.",
    ),
}


@pytest.fixture
def refusal(shapes_file, monkeypatch, registry):
    """Why a sweep with these lines is refused, in the words of the error."""

    def refused(lines):
        monkeypatch.chdir(shapes_file.parent)
        file = shapes_file.with_name("sweep.toml").relative_to(shapes_file.parent)
        file.write_text(f'experiment = "shapes.toml"\n{lines}\n')
        with pytest.raises(InputError) as error:
            load_sweep(file, registry=registry)
        return str(error.value)

    return refused


@pytest.mark.parametrize(("space", "message"), FILES.values(), ids=FILES)
def test_a_bad_space_is_one_message(refusal, space, message):
    said = refusal(f"[space]\n{space}")
    assert said.startswith(message)
    assert "\n" not in said


SETTINGS = {
    "trials = 0": "sweep.toml, line 2: trials = 0: expected a number of at least 1.",
    'sampler = "tpee"': 'sweep.toml, line 2: sampler = "tpee": expected "tpe", "random", '
    '"quasi_random" or "grid". Did you mean "tpe"?',
    'sampler = "grid"': "sweep.toml, line 4: stages.scratch.learning_rate: a grid has no "
    "continuous range; give it a step or one_of.",
    'metric = "val_f1"': 'metric = "val_f1": expected "val_accuracy" or "val_loss"',
    "workers = 2": "sweep.toml, line 2: workers = 2: unknown key.",
    "minutes = -1": "sweep.toml, line 2: minutes = -1: expected a number greater than 0.",
}


@pytest.mark.parametrize(("setting", "message"), SETTINGS.items(), ids=SETTINGS)
def test_a_bad_setting_is_one_message(refusal, setting, message):
    said = refusal(f"{setting}\n[space]\n{RATE}")
    assert said.startswith(message)
    assert "\n" not in said


TRIES = {
    "stages.0.learning_rate": "--try stages.0.learning_rate: expected KEY=LOW..HIGH or",
    "stages.0.learning_rate=a..b": '--try stages.0.learning_rate=a..b: "a" is not a number;',
    "stages.0.learning_rate=0..1": "--try stages.scratch.learning_rate = 0: expected a number",
    "nonsense.key=1,2": "--try nonsense",
}


@pytest.mark.parametrize(("text", "message"), TRIES.items(), ids=TRIES)
def test_a_bad_option_is_one_message(shapes_file, registry, text, message):
    with pytest.raises(InputError) as refused:
        load_sweep(shapes_file, of_options((text,)), registry=registry)
    assert str(refused.value).startswith(message)


def test_a_sweep_of_nothing_is_told(shapes_file, registry):
    with pytest.raises(InputError, match=r"nothing to try: give --try KEY=LOW"):
        load_sweep(shapes_file, registry=registry)


def test_a_file_may_lack_its_experiment(shapes_file, registry):
    file = shapes_file.with_name("sweep.toml")
    file.write_text(f"[space]\n{RATE}\n")
    with pytest.raises(InputError, match="experiment: required, but missing"):
        load_sweep(file, registry=registry)
    file.write_text('experiment = "shapes.toml"\n')
    with pytest.raises(InputError, match="space: required, but missing"):
        load_sweep(file, registry=registry)
    file.write_text(f'experiment = "shape.toml"\n[space]\n{RATE}\n')
    with pytest.raises(InputError, match=r'No such file or directory\. Did you mean "shapes.toml"'):
        load_sweep(file, registry=registry)


@pytest.mark.parametrize(
    "address", ["journal.log", "redis://host", "grpc://host", "sqlite:///:memory:", "postgres"]
)
def test_a_storage_without_heartbeats_is_refused(address):
    with pytest.raises(InputError, match="Without heartbeats"):
        check_storage(address)


@pytest.mark.parametrize(
    "address", ["postgresql://me@host/db", "mysql+pymysql://host/db", "sqlite:///sweeps.db"]
)
def test_a_storage_with_heartbeats_is_accepted(address):
    check_storage(address)
