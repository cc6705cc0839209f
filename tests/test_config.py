# ruff: noqa: E501
"""Experiments: what is accepted, and how every fault of one is said."""

import re
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kerascnn import InputError, load_experiment
from kerascnn.config import (
    OPTIMIZERS,
    Experiment,
    flatten,
    parse_experiment,
    resolve,
)
from kerascnn.config_errors import line_of
from kerascnn.scaffold import recipes

GOOD = (Path(__file__).parent / "good.toml").read_text()

DATASET = '[dataset]\nname = "shapes"\nclasses = 2\n'
TRAINING = "[training]\nimage_size = 32\nbatch_size = 8\n"
HEAD = GOOD.partition("[[stages]]")[0]

# fmt: off
# What is replaced, by what, and what is said of it: each stands on the line that ends in "#<".
BAD = {
    # keys
    "key at the top": ("seed = 3", "sed = 3 #<", 'sed = 3: there is no such key. Did you mean "seed"? Known'),
    "key without a near one": ("seed = 3", "xyz = 3 #<", "xyz = 3: there is no such key. Known keys: name, seed,"),
    "table at the top": ("[training]", "[traning] #<", 'traning = {image_size = 32, batch_size = 8}: there is no such key. Did you mean "training"?'),
    "key of training": ("batch_size = 8", "batchsize = 8 #<", 'training.batchsize = 8: there is no such key. Did you mean "batch_size"?'),
    "key of a stage": ("epochs = 2", "epochs = 2\nlearningrate = 1 #<", 'stages.1.learningrate = 1: there is no such key. Did you mean "learning_rate"?'),
    "key of early stopping": ("{ patience = 2 }", "{ patiense = 2 } #<", 'stages.1.early_stopping.patiense = 2: there is no such key. Did you mean "patience"? Known keys: monitor, patience.'),
    "key of a dataset": ("classes = 2", "clases = 2 #<", 'dataset.clases = 2: there is no such key. Did you mean "classes"? Known keys: classes, train,'),
    "key of an augmentation": ("zoom = 0.2", "zom = 0.2 #<", 'augmentation.zom = 0.2: there is no such key. Did you mean "zoom"? Known keys: horizontal_flip,'),
    "key of an architecture": ("dense_units", '"dense units" = [2] #<\ndense_units', 'architecture."dense units" = [2]: there is no such key. Did you mean "dense_units"?'),
    "key of a schedule": ("warmup_fraction = 0.1 }", "warmup = 0.1 } #<", "stages.1.schedule.warmup = 0.1: there is no such key."),
    "table of a stage": ("[[stages]]\nname = \"all\"", "[stages.schedul] #<\nname = 1\n[[stages]]\nname = \"all\"", 'stages.0.schedul = {name = 1}: there is no such key. Did you mean "schedule"?'),
    # what is missing
    "name": ('name = "shapes"\nseed', "#<\nseed", "name: is required, and is missing."),
    "name of the dataset": ('[dataset]\nname = "shapes"', "[dataset] #<", "dataset.name: is required, and is missing."),
    "misspelt name of the architecture": ('[architecture]\nname = "', '[architecture] #<\nnme = "', 'architecture.name: is required, and is missing; "nme" stands in its place.'),
    "epochs": ("[[stages]]\nname = \"head\"\nunfreeze = \"head\"\nepochs = 1", "[[stages]] #<\nname = \"head\"", "stages.0.epochs: is required, and is missing."),
    "learning rate": ('[[stages]]\nname = "all"', '[[stages]] #<\nname = "third"\nepochs = 1\n[[stages]]\nname = "all"', "stages.1.learning_rate: is required, and is missing."),
    "name of a schedule": ('{ name = "cosine", warmup_fraction = 0.1 }', '{ nam = "cosine" } #<', 'stages.1.schedule.name: is required, and is missing; "nam" stands in its place.'),
    "everything": (GOOD, "#<", "name: is required, and is missing.", "dataset: is", "architecture: is", "stages: is"),
    # types
    "seed as text": ("seed = 3", 'seed = "3" #<', 'seed = "3": expected a whole number.'),
    "seed as a float": ("seed = 3", "seed = 3.0 #<", "seed = 3.0: expected a whole number."),
    "seed as a date": ("seed = 3", "seed = 2026-01-01 #<", 'seed = "2026-01-01": expected a whole number.'),
    "name as a number": ('name = "shapes"\nseed', "name = 3 #<\nseed", "name = 3: expected text in quotes."),
    "truth as a number": ("epochs = 2", "epochs = true #<", "stages.1.epochs = true: expected a whole number."),
    "rate as text": ("learning_rate = 0.01", 'learning_rate = "0.01" #<', 'stages.1.learning_rate = "0.01": expected a number.'),
    "rate as truth": ("learning_rate = 0.01", "learning_rate = true #<", "stages.1.learning_rate = true: expected a number."),
    "training as text": (GOOD, 'training = "fast" #<\n' + GOOD.replace(TRAINING, ""), 'training = "fast": expected a table.'),
    "dataset as a number": (GOOD, "dataset = 3 #<\n" + GOOD.replace(DATASET, ""), 'dataset = 3: expected a name in quotes, or a table with a "name".'),
    "dataset as a date": (GOOD, "dataset = 2026-01-01 #<\n" + GOOD.replace(DATASET, ""), 'dataset = "2026-01-01": there is no such dataset.'),
    "stages as a table": (GOOD, HEAD + "[stages] #<\nepochs = 1", "stages: expected an array: [[stages]] begins each of its tables."),
    "stages as text": (GOOD, 'stages = "head" #<\n' + HEAD, 'stages = "head": expected an array.'),
    "no stages": (GOOD, "stages = [] #<\n" + HEAD, "stages = []: expected at least 1 entries."),
    "a stage as text": (GOOD, 'stages = ["head"] #<\n' + HEAD, 'stages.0 = "head": expected a table.'),
    "schedule as a number": ('schedule = { name = "cosine", warmup_fraction = 0.1 }', "schedule = 3 #<", 'stages.1.schedule = 3: expected a name in quotes, or a table with a "name".'),
    "schedule as truth": ('schedule = { name = "cosine", warmup_fraction = 0.1 }', "schedule = true #<", 'stages.1.schedule = true: expected a name in quotes, or a table with a "name".'),
    "schedule's name as a number": ('{ name = "cosine", warmup_fraction = 0.1 }', "{ name = 3 } #<", "stages.1.schedule.name = 3: expected text in quotes."),
    "optimizer as an array": ('{ name = "sgd", momentum = 0.9 }', "[1] #<", 'stages.1.optimizer = [1]: expected a name in quotes, or a table with a "name".'),
    "augmentation as a number": ("epochs = 2", "epochs = 2\naugmentation = 3 #<", 'stages.1.augmentation = 3: expected a name in quotes, or a table with a "name".'),
    "component's number as text": ("classes = 2", 'classes = "2" #<', 'dataset.classes = "2": expected a whole number.'),
    "component's float as text": ("zoom = 0.2", 'zoom = "0.2" #<', 'augmentation.zoom = "0.2": expected a number.'),
    "entry of an array": ("[8, 4]", '[8, "4"] #<', 'architecture.dense_units.1 = "4": expected a whole number.'),
    "number for an array": ("[8, 4]", "8 #<", "architecture.dense_units = 8: expected an array."),
    "early stopping as truth": ("{ patience = 2 }", "true #<", "stages.1.early_stopping = true: expected a table."),
    # ranges and choices
    "seed too small": ("seed = 3", "seed = -1 #<", "seed = -1: expected a number of at least 0."),
    "seed too large": ("seed = 3", "seed = 4294967296 #<", "seed = 4294967296: expected a number less than 4294967296."),
    "image size": ("image_size = 32", "image_size = 4 #<", "training.image_size = 4: expected a number of at least 8."),
    "batch size": ("batch_size = 8", "batch_size = 0 #<", "training.batch_size = 0: expected a number of at least 1."),
    "epochs zero": ("epochs = 2", "epochs = 0 #<", "stages.1.epochs = 0: expected a number of at least 1."),
    "rate zero": ("learning_rate = 0.01", "learning_rate = 0 #<", "stages.1.learning_rate = 0: expected a number greater than 0"),
    "rate nan": ("learning_rate = 0.01", "learning_rate = nan #<", "stages.1.learning_rate = nan: expected a finite number."),
    "rate inf": ("learning_rate = 0.01", "learning_rate = inf #<", "stages.1.learning_rate = inf: expected a finite number."),
    "component's nan": ("zoom = 0.2", "zoom = nan #<", "augmentation.zoom = nan: expected a finite number."),
    "label smoothing": ("epochs = 2", "epochs = 2\nlabel_smoothing = 1 #<", "stages.1.label_smoothing = 1: expected a number less than 1"),
    "layer decay": ("epochs = 2", "epochs = 2\nlayer_decay = 0 #<", "stages.1.layer_decay = 0: expected a number greater than 0"),
    "weight decay": ("epochs = 2", "epochs = 2\nweight_decay = -1 #<", "stages.1.weight_decay = -1: expected a number of at least 0"),
    "patience": ("patience = 2 }", "patience = 0 } #<", "stages.1.early_stopping.patience = 0: expected a number of at least 1."),
    "component's range": ("classes = 2", "classes = 9 #<", "dataset.classes = 9: expected a number of at most 4."),
    "precision": ("batch_size = 8", 'precision = "mixed_float" #<', 'training.precision = "mixed_float": expected "float32", "mixed_bfloat16" or "mixed_float16". Did you mean "mixed_float16"?'),
    "backend": ("batch_size = 8", 'backend = "pytorch" #<', 'training.backend = "pytorch": expected "auto", "tensorflow", "jax" or "torch". Did you mean "torch"?'),
    "batchnorm": ("epochs = 2", 'epochs = 2\nbatchnorm = "freeze" #<', 'stages.1.batchnorm = "freeze": expected "frozen" or "train". Did you mean "frozen"?'),
    "component's choice": ("dense_units = [8, 4]", 'padding = "sam" #<', 'architecture.padding = "sam": expected "same" or "valid". Did you mean "same"?'),
    "name with a slash": ('name = "shapes"\nseed', 'name = "a/b" #<\nseed', 'name = "a/b": expected text that matches '),
    "stage's name": ('name = "all"', 'name = "all of it" #<', 'stages.1.name = "all of it": expected text that matches '),
    "text that a terminal would obey": ('name = "all"', r'name = "\u001b[2J\u009b1m" #<', r'stages.1.name = "\u001b[2J\u009b1m": expected text'),
    "stage's name twice": ('name = "all"', 'name = "head" #<', 'stages.1.name = "head": another stage has this name already.'),
    # unfreeze, class weights, optimizer
    "unfreeze a word": ('["block*"]', '"everything" #<', 'stages.1.unfreeze = "everything": expected "head", "last:N"'),
    "unfreeze last:0": ('["block*"]', '"last:0" #<', 'stages.1.unfreeze = "last:0": expected "head", "last:N" with N at least 1'),
    "unfreeze a number": ('["block*"]', "3 #<", "stages.1.unfreeze = 3: expected"),
    "unfreeze nothing": ('["block*"]', "[] #<", "stages.1.unfreeze = []: expected"),
    "unfreeze numbers": ('["block*"]', "[1, 2] #<", "stages.1.unfreeze = [1, 2]: expected"),
    "unfreeze a table": ('["block*"]', "{ last = 2 } #<", "stages.1.unfreeze = {last = 2}: expected"),
    "class weights' word": ("{ circle = 2, square = 1.5 }", '"balance" #<', 'stages.1.class_weights = "balance": expected "balanced" or a table'),
    "class weights below zero": ("square = 1.5 }", '"a b" = -1 } #<', 'stages.1.class_weights = {circle = 2, "a b" = -1}: expected "balanced" or'),
    "class weights infinite": ("square = 1.5 }", "square = inf } #<", "stages.1.class_weights.square = inf: expected a finite number."),
    "optimizer's name": ('name = "sgd", momentum = 0.9 }', 'name = "adm" } #<', 'stages.1.optimizer.name = "adm": expected "adadelta", '),
    "optimizer in short": ('{ name = "sgd", momentum = 0.9 }', '"AdamW" #<', 'stages.1.optimizer = "AdamW": expected "adadelta", '),
    # components
    "dataset": ('[dataset]\nname = "shapes"\nclasses = 2', '[dataset]\nname = "shape" #<', 'dataset.name = "shape": there is no such dataset. Did you mean "shapes"? `kerascnn plugins list --kind dataset` shows all '),
    "architecture": ('"sequential_cnn"', '"sequentialcnn" #<', 'architecture.name = "sequentialcnn": there is no such architecture. Did you mean "sequential_cnn"?'),
    "augmentation": ('"light"', '"lite" #<', 'augmentation.name = "lite": there is no such augmentation. Did you mean "light"?'),
    "schedule in short": ('schedule = { name = "cosine", warmup_fraction = 0.1 }', 'schedule = "cosin" #<', 'stages.1.schedule = "cosin": there is no such schedule. Did you mean "cosine"?'),
    "stage's augmentation": ("epochs = 2", 'epochs = 2\naugmentation = "strng" #<', 'stages.1.augmentation = "strng": there is no such augmentation. Did you mean "strong"?'),
}
# fmt: on
JARGON = "Input should|type=|literal|function-|tuple|dict|Choice|pydantic|None|union|Traceback"


def refusal(path, **options):
    """The lines of the one error that the file gives."""
    with pytest.raises(InputError) as caught:
        load_experiment(path, **options)
    return str(caught.value).splitlines()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "experiment.toml"


@pytest.mark.parametrize(("old", "new", "said"), [(o, n, s) for o, n, *s in BAD.values()], ids=BAD)
def test_a_fault_is_said_with_its_line(file, registry, old, new, said):
    assert GOOD.count(old) == 1
    text = GOOD.replace(old, new)
    file.write_text(text)
    lines = refusal(file, registry=registry)
    number = 1 + [line.endswith("#<") for line in text.splitlines()].index(True)
    for line, expected in zip(lines, said, strict=True):
        assert line.startswith(f"{file}, line {number}: {expected}")
        assert not re.search(JARGON, line.removeprefix(str(file)))


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
        ", line 23: stages.0.epochs",
        ", line 27: stages.1.name",
    ]


UNREADABLE = {
    "no equals sign": (b"name\n", ", line 1, column 5: not valid TOML: Expected"),
    "open string": (b'a = 1\nname = "x\n', ", line 2, column 10: not valid TOML: Illegal"),
    "key twice": (b"a = 1\na = 2\n", ", line 2, column 6: not valid TOML: Cannot overwrite"),
    "open array": (b"a = [1\n", ", end of document: not valid TOML: Unclosed array"),
    "Latin-1": ('a = 1\nname = "Blüten"\n'.encode("latin-1"), ", line 2: not UTF-8 text; save"),
    "UTF-16": ('name = "x"\n'.encode("utf-16"), ", line 1: not UTF-8 text; save"),
}


@pytest.mark.parametrize(("content", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_is_no_toml(file, content, said):
    file.write_bytes(content)
    (line,) = refusal(file)
    assert line.startswith(f"{file}{said}")


def test_a_file_that_is_not_there(file):
    file.write_text(GOOD)
    (line,) = refusal(file.with_suffix(""))
    assert "cannot be read: No such file" in line
    assert line.endswith('Did you mean "experiment.toml"?')
    (line,) = refusal(file.parent)
    assert "cannot be read: Is a directory" in line


def test_a_byte_order_mark_and_windows_lines_are_no_fault(file, registry):
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_experiment(file, registry=registry).name == "shapes"


LINES = """\
a = [
  1,
  { b = 1 },
]
text = '''
[no.table]
c = 2
'''
d.e = 1 # comment
"f.g" = { h = 2 }

[t]
  [t.u]
  v = 1
[[s]]
x = 1
[s.y]
[[s]]
[[s.z]]
x = [[1,
  2]]
[[s.z]]
x = 1
"""


@pytest.mark.parametrize(
    ("key", "line"),
    {
        "a": 1, "a.0": 2, "a.1.b": 3, "text": 5, "c": 1, "no.table": 1, "d": 9, "d.e": 9,
        "t": 12, "t.u": 13, "t.u.v": 14, "t.u.missing": 13, "s": 15, "s.0": 15, "s.0.x": 16,
        "s.0.y": 17, "s.1": 18, "s.1.x": 18, "s.1.z.0": 19, "s.1.z.0.x": 20, "s.1.z.1.x": 23,
    }.items(),
)  # fmt: skip
def test_the_line_of_a_key(key, line):
    location = tuple(int(part) if part.isdigit() else part for part in key.split("."))
    assert line_of(location, LINES) == line


def test_the_line_of_a_key_with_a_dot():
    assert line_of(("f.g", "h"), LINES) == 10


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
    augmentations = [experiment.augmentation_of(stage).name for stage in experiment.stages]
    assert augmentations == ["none", "light", "strong", "none"]
    assert experiment.dataset.name == "shapes"
    assert experiment.architecture.params == {"depth": 2}
    assert experiment.stages[1].optimizer.name == "sgd"
    assert experiment.stages[3].schedule.name == "step"


def test_overrides(file, registry):
    file.write_text(GOOD)
    overrides = {
        "seed": 7,
        "stages.0.epochs": 5,
        "stages.0.unfreeze": ["block1", "block2"],
        "stages.1.schedule.warmup_fraction": 0.3,
        "stages.0.early_stopping.patience": 9,
        "training.backend": "jax",
        "augmentation": "none",
        "dataset.train": 20,
    }
    experiment = load_experiment(file, overrides, registry)
    head, last = experiment.stages
    assert (experiment.seed, head.epochs, head.unfreeze) == (7, 5, ("block1", "block2"))
    assert last.schedule.params == {"warmup_fraction": 0.3}
    assert head.early_stopping.patience == 9
    assert experiment.training.backend == "jax"
    assert experiment.augmentation.name == "none"
    assert experiment.dataset.params == {"classes": 2, "train": 20}


BAD_OVERRIDES = {
    "stages.2.epochs": (1, "--set stages.2.epochs: stages has 2 entries, counted from 0."),
    "stages.-1.epochs": (1, "--set stages.-1.epochs: stages has 2 entries, counted from 0."),
    "stages.head.epochs": (1, "--set stages.head.epochs: stages has 2 entries, counted from 0."),
    "name.x": (1, '--set name.x: name = "shapes" is no table.'),
    "dataset.classes.x.y": (1, "--set dataset.classes.x.y: dataset.classes = 2 is no table."),
    "stages.0.epochs": (0, "--set stages.0.epochs = 0: expected a number of at least 1."),
    "stages.0.epoch": (1, '--set stages.0.epoch = 1: there is no such key. Did you mean "epochs"?'),
    "trainig.backend": ("jax", '--set trainig = {backend = "jax"}: there is no such key. Did you'),
    "architecture": ("vgg", '--set architecture = "vgg": there is no such architecture.'),
    "dataset": ({"classes": 3}, "--set dataset.name: is required, and is missing."),
    "stages": ([], "--set stages = []: expected at least 1 entries."),
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
    resolved = resolve(load_experiment(file, registry=registry), registry)
    assert resolved["training"]["precision"] == "float32"
    assert resolved["architecture"]["kernel_size"] == 3
    assert resolved["augmentation"]["zoom"] == 0.2
    assert resolved["augmentation"]["horizontal_flip"] == 0.5
    again = parse_experiment(tomllib.loads(tomli_w.dumps(resolved)), registry)
    assert resolve(again, registry) == resolved
    assert flatten(resolved)["stages.1.schedule.warmup_fraction"] == 0.1


@pytest.mark.parametrize("name", recipes())
def test_the_recipes_are_accepted(name):
    pytest.importorskip("kerascnn_efficientnet_lite")
    assert load_experiment(recipes()[name]).stages


def test_the_optimizers_are_those_of_keras():
    import keras

    wrappers = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}
    exported = {
        name.lower()
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type) and name not in wrappers
    }
    assert {name.replace("_", "") for name in OPTIMIZERS} == exported


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


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=mutated())
@example(data={})
def test_nothing_but_an_input_error_comes_of_a_mutated_experiment(registry, data):
    text = tomli_w.dumps(data)
    try:
        experiment = parse_experiment(tomllib.loads(text), registry, text, "x.toml")
    except InputError as error:
        lines = str(error).splitlines()
        assert all(re.match(r"x\.toml, line [1-9]", line) for line in lines)
    else:
        assert isinstance(experiment, Experiment)
        assert resolve(experiment, registry)


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
