"""Experiments: what is accepted, and how their faults are said; bad ones: test_bad_experiments."""

import re
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kerascnn import InputError, load_experiment
from kerascnn.components.registry import load_registry
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.experiment.tables import flatten
from kerascnn.run.init import recipes

GOOD = (Path(__file__).parent / "good.toml").read_text()


def refusal(path, **options):
    """The lines of the one error that the file gives."""
    with pytest.raises(InputError) as caught:
        load_experiment(path, **options)
    return str(caught.value).splitlines()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "experiment.toml"


def test_all_faults_are_said_at_once_in_the_order_of_the_file(file, registry):
    text = GOOD.replace("seed = 3", "sed = 3").replace("classes = 2", "classes = 9")
    text = text.replace('"sequential_cnn"', '"vgg"').replace("epochs = 1", "epochs = 0")
    text = text.replace('name = "all"', 'name = "head"').replace("= 0.2", '= "x"')
    file.write_text(text)
    keys = [line.removeprefix(str(file)).split(" = ")[0] for line in refusal(file)]
    assert keys == [
        ", line 2: sed",
        ", line 6: dataset.classes",
        ", line 10: augmentation.zoom",
        ", line 13: architecture.name",
        ", line 23: stages.head.epochs",
        ", line 27: stages.1.name",
    ]


def test_a_file_that_is_not_there(file):
    file.write_text(GOOD)
    (line,) = refusal(file.with_suffix(""))
    assert line.startswith(f"cannot read {file.with_suffix('')}: No such file")
    assert line.endswith('Did you mean "experiment.toml"?')
    (line,) = refusal(file.parent)
    assert line.startswith(f"cannot read {file.parent}: Is a directory")


def test_a_byte_order_mark_and_windows_lines_are_no_fault(file, registry):
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_experiment(file, registry=registry).name == "shapes"


def test_the_short_forms(file, registry):
    file.write_text(
        """
        name = "short"
        dataset = "shapes"
        architecture = { name = "sequential_cnn", depth = 2 }
        augmentation = "light"
        stages = [
            { name = "a", epochs = 1, learning_rate = 1, augmentation = false },
            { name = "b", epochs = 1, learning_rate = 1, augmentation = true, optimizer = "sgd" },
            { name = "c", epochs = 1, learning_rate = 1, augmentation = { name = "strong" } },
            { name = "d", epochs = 1, learning_rate = 1, augmentation = "none", schedule = "step" },
        ]
        """
    )
    experiment = load_experiment(file, registry=registry)
    augmentations = [stage.augmentation.name for stage in experiment.stages]
    assert augmentations == ["none", "light", "strong", "none"]
    assert experiment.dataset.name == "shapes"
    assert experiment.settings.architecture.params == {"depth": 2}
    assert experiment.settings.stages[1].optimizer.name == "sgd"
    assert experiment.stages[3].schedule.name == "step"


def test_overrides(file, registry):
    file.write_text(GOOD)
    overrides = {
        "seed": 7,
        "stages.0.epochs": 5,
        "stages.0.unfreeze": ["block1", "block2"],
        "stages.all.schedule.warmup_fraction": 0.3,
        "stages.0.early_stopping.patience": 9,
        "training.backend": "jax",
        "augmentation": "none",
        "dataset.train": 20,
    }
    experiment = load_experiment(file, overrides, registry)
    head, last = experiment.settings.stages
    assert (experiment.seed, head.epochs, head.unfreeze) == (7, 5, ("block1", "block2"))
    assert last.schedule.params == {"warmup_fraction": 0.3}
    assert head.early_stopping.patience == 9
    assert experiment.training.backend == "jax"
    assert experiment.settings.augmentation.name == "none"
    assert experiment.settings.dataset.params == {"classes": 2, "train": 20}


BAD_OVERRIDES = {
    "stages.2.epochs": (1, '--set stages.2.epochs: stages has no "2". It has head, all.'),
    "stages.-1.epochs": (1, '--set stages.-1.epochs: stages has no "-1". It has head, all.'),
    "stages.had.epochs": (
        1,
        '--set stages.had.epochs: stages has no "had". Did you mean "head"? It has head, all.',
    ),
    "name.x": (1, '--set name.x: name = "shapes" is not a table.'),
    "dataset.classes.x.y": (1, "--set dataset.classes.x.y: dataset.classes = 2 is not a table."),
    "stages.0.epochs": (0, "--set stages.head.epochs = 0: expected a number of at least 1."),
    "stages.0.epoch": (
        1,
        '--set stages.head.epoch = 1: unknown key. Did you mean "epochs"?',
    ),
    "trainig.backend": (
        "jax",
        '--set trainig = { backend = "jax" }: unknown key. Did you',
    ),
    "architecture": ("vgg", '--set architecture = "vgg": unknown architecture.'),
    "dataset": ({"classes": 3}, "--set dataset.name: required, but missing."),
    "stages": ([], "--set stages = []: expected 1 or more entries."),
}


@pytest.mark.parametrize(
    ("key", "value", "said"), [(key, *rest) for key, rest in BAD_OVERRIDES.items()]
)
def test_a_bad_override_is_said_to_be_one(file, registry, key, value, said):
    file.write_text(GOOD)
    (line,) = refusal(file, overrides={key: value}, registry=registry)
    assert line.startswith(said)


def test_a_resolved_experiment_says_everything_and_is_itself(file, registry):
    file.write_text(GOOD)
    resolved = load_experiment(file, registry=registry).resolved
    assert resolved["training"]["precision"] == "float32"
    assert resolved["architecture"]["kernel_size"] == 3
    assert resolved["augmentation"]["zoom"] == 0.2
    assert resolved["augmentation"]["horizontal_flip"] == 0.5
    again = bind_experiment(tomllib.loads(tomli_w.dumps(resolved)), registry)
    assert again.resolved == resolved
    assert flatten(resolved)["stages.all.schedule.warmup_fraction"] == 0.1


@pytest.mark.parametrize("name", recipes())
def test_the_recipes_are_accepted(name):
    pytest.importorskip("kerascnn_efficientnet_lite")
    pytest.importorskip("kerascnn_flowers")
    text = recipes()[name].read_text()
    assert bind_experiment(tomllib.loads(text), load_registry(), text).stages


WORDS = st.sampled_from([*flatten(tomllib.loads(GOOD)), "name", "stages", "x", "cosine", "last:2"])
VALUES = st.recursive(
    st.none().map(lambda _: "head")
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw):
    """The good experiment with some keys, at any depth, replaced, added or removed."""
    data = tomllib.loads(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        here = data
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(here[key], dict | list) or draw(st.integers(0, 3)) == 0:
                break
            here = here[key]
        if not keys or (isinstance(here, dict) and draw(st.booleans())):
            here.__setitem__(draw(WORDS), draw(VALUES)) if isinstance(here, dict) else None
        elif draw(st.booleans()):
            del here[key]
        else:
            here[key] = draw(VALUES)
    return data


def nothing_but_an_input_error(registry, data):
    text = tomli_w.dumps(data)
    try:
        experiment = bind_experiment(tomllib.loads(text), registry, text, "x.toml")
    except InputError as error:
        lines = str(error).splitlines()
        assert all(re.match(r"x\.toml, line [1-9]", line) for line in lines)
    else:
        assert isinstance(experiment, BoundExperiment)
        assert experiment.resolved


quickly = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quickly
@given(data=mutated())
@example(data={})
def test_nothing_but_an_input_error_comes_of_a_mutated_experiment(registry, data):
    nothing_but_an_input_error(registry, data)


@pytest.mark.slow  # pytest -m slow tests/test_config.py -k ten_thousand
@settings(quickly, max_examples=10_000)
@given(data=mutated())
def test_nothing_but_an_input_error_comes_of_ten_thousand_mutations(registry, data):
    nothing_but_an_input_error(registry, data)


@settings(max_examples=100, deadline=None)
@given(start=st.integers(0, len(GOOD)), length=st.integers(0, 30), put=st.text(max_size=5))
def test_nothing_but_an_input_error_comes_of_a_mutated_file(
    tmp_path_factory, registry, start, length, put
):
    file = tmp_path_factory.getbasetemp() / "mutated.toml"
    file.write_text(GOOD[:start] + put + GOOD[start + length :], "utf-8")
    try:
        load_experiment(file, registry=registry)
    except InputError as error:
        message = str(error)
    else:
        message = str(file)
    assert message.startswith(str(file))
