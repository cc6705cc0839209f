"""Names of classes and files as anyone may write them, in every figure, page and table."""

import io
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from kerascnn.cli.tables.comparison import show_comparison
from kerascnn.cli.tables.inference import show_evaluation
from kerascnn.engine.metrics.score import measure
from kerascnn.engine.network.explain.computed import Parts
from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.compare.comparison import Comparison
from kerascnn.results.compare.page import write_comparison
from kerascnn.results.confusion import confusion_figure
from kerascnn.results.find import find_run
from kerascnn.results.inference.evaluate import Evaluation
from kerascnn.results.predictions import Predictions, read_predictions, write_predictions
from kerascnn.results.report.gather import Material
from kerascnn.results.report.write import write_page
from kerascnn.results.visualize.explain import Explained
from kerascnn.results.visualize.figure import explained_figure
from kerascnn.run.experiment import run_experiment
from kerascnn.runtime.text import code, is_control, visible

HOSTILE = (
    "$",
    "ca$h_$",
    "$1_front_$2_back",
    "$5-$10",
    r"\frac{",
    "_hidden",
    "[bold]red",
    ":smile:",
    "a\\",
    "<b>&amp;",
    '1.23456 #000000 id="a_1"',
    "{{ 7 * 7 }}",
    "雏菊",
    "עברית हिन्दी",
    "a,b;'c'",
    "100%",
)
FILE_NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=20)
"""All text that a folder may be called, what is not UTF-8 as Python reads it among it."""


class PageText(HTMLParser):
    """The words of a page, its figures among them."""

    def __init__(self, page):
        super().__init__()
        self.words = []
        self.feed(page)
        self.close()

    def handle_data(self, data):
        self.words.append(data)

    def holds(self, name):
        written = name.encode("utf-8", "backslashreplace").decode()
        return any(written in words for words in self.words)


def judged(names):
    """Two images of each class; every second one is taken for the next class."""
    labels = np.arange(2 * len(names)) // 2
    predicted = (labels + np.arange(len(labels)) % 2) % len(names)
    probabilities = np.eye(len(names), dtype=np.float32)[predicted]
    files = [f"{names[label]}.jpg" for label in labels]
    return Predictions(files, labels, probabilities, [f"{row:064x}" for row in labels])


def result_of(written_run, names, run_id="a" * 32, **changes):
    said = judged(names)
    result = written_run(run_id, [True], **changes)
    test = measure(said.probabilities, said.labels, tuple(names))
    counts = np.bincount(said.labels).tolist()
    result = replace(
        result,
        class_names=list(names),
        test=test.to_json(),
        class_counts=dict.fromkeys(("train", "validation", "test"), counts),
        history=[],
    )
    write_predictions(result.folder / "predictions.csv", said, names)
    (result.folder / "experiment.toml").write_text("seed = 0\n")
    return result


def page_of(result, names, registry):
    """The report of a run without a network to explain."""
    images = np.zeros((2 * len(names), 16, 16, 3), np.uint8)
    test = SimpleNamespace(images=images)
    data = SimpleNamespace(splits=lambda: {"test": test}, train=images, class_names=names)
    experiment = bind_experiment({**result.experiment, "seed": 0}, registry)
    said = read_predictions(result.folder / "predictions.csv", names)
    network = SimpleNamespace(name="none", layers=[], operations=[], _nodes_by_depth={})
    material = Material(result, experiment, said, data, "", network)
    return text_of(write_page(material))


def text_of(file):
    return file.read_bytes().decode()  # with each "\r" as it is


def compared(result, other):
    return Comparison((result, replace(other, class_names=result.class_names)), result)


def shown(show, *arguments):
    out = io.StringIO()
    show(Console(file=out, width=10_000, highlight=False, emoji=False), *arguments)
    return out.getvalue()


def drawn(figure):
    """The text of a figure once it is drawn."""
    from matplotlib.text import Text

    figure.savefig(io.BytesIO(), format="png", dpi=30)
    return [text.get_text() for text in figure.findobj(Text)]


def as_drawn(name, figure):
    """A name as a figure writes it: what no font has and no line holds as codes."""
    coded = set(figure.missing) | set(filter(is_control, name)) - {"\n"}
    return "".join(code(one) if one in coded else one for one in name)


def check_pages_and_tables(names, written_run, registry):
    result = result_of(written_run, names)
    report, notebook = page_of(result, names, registry), result._repr_html_()
    comparison = compared(result, result_of(written_run, names, "b" * 32, seed=1))
    comparison.predictions["b" * 32].probabilities[:] = np.eye(len(names))[0]
    write_comparison(comparison, result.folder / "comparison.html")
    page = text_of(result.folder / "comparison.html")
    table = shown(show_evaluation, evaluation_of(result))
    flips = shown(show_comparison, comparison)
    for name in names:
        for text in (report, notebook):
            assert PageText(text).holds(name), ascii(name)
        assert visible(name) in table, ascii(name)
    for flip in comparison.flips[:8]:
        assert PageText(page).holds(flip.label)
        assert visible(flip.label) in flips


def evaluation_of(result):
    """As if the run had been evaluated on its own test images."""
    test = read_predictions(result.folder / "predictions.csv", result.class_names)
    metrics = measure(test.probabilities, test.labels, tuple(result.class_names))
    return Evaluation(**vars(metrics), result=result, data="", test=test, windows=None)


def check_figures(names):
    predictions = judged(names)
    metrics = measure(predictions.probabilities, predictions.labels, tuple(names))
    confusion, explained = (
        confusion_figure(metrics.confusion, names),
        explained_figure(explain(names)),
    )
    matrix, bars = drawn(confusion), drawn(explained)
    for name in names:
        assert matrix.count(as_drawn(name, confusion)) >= 2, ascii(name)
    for name in names[:6]:
        assert as_drawn(name, explained) in bars, ascii(name)


def explain(names):
    rng = np.random.default_rng(0)
    maps = rng.random((4, 4, 3), np.float32)
    return Explained(
        name=f"{names[0]}.jpg",
        image=np.zeros((16, 16, 3), np.uint8),
        probabilities=np.linspace(1, 0, len(names), dtype=np.float32),
        class_names=names,
        heat=rng.random((4, 4), np.float32),
        heat_layer="conv",
        kernels=rng.random((3, 3, 3, 4), np.float32),
        maps={"conv": maps},
        filter=("conv", 0),
        parts=Parts(maps, rng.random((3, 3, 3), np.float32), maps, 0.0),
    )


SLOW_EXAMPLES = {  # too slow to shrink: a failure names its name
    "deadline": None,
    "phases": [Phase.explicit, Phase.generate],
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def test_hostile_names_stand_in_every_figure():
    check_figures(HOSTILE)


def test_hostile_names_stand_in_every_page_and_table(written_run, registry):
    check_pages_and_tables(HOSTILE, written_run, registry)


@settings(max_examples=3, **SLOW_EXAMPLES)
@given(names=st.lists(FILE_NAMES, min_size=2, max_size=4, unique=True))
def test_any_names_stand_in_every_page_and_table(names, written_run, registry):
    check_pages_and_tables(names, written_run, registry)


@settings(max_examples=3, **SLOW_EXAMPLES)
@given(names=st.lists(FILE_NAMES, min_size=4, max_size=4, unique=True))
def test_any_names_stand_in_every_figure(names):
    check_figures(names)


@pytest.mark.slow  # ten thousand names, a hundred at a time
@settings(max_examples=30, **SLOW_EXAMPLES)
@given(names=st.lists(FILE_NAMES, min_size=100, max_size=100, unique=True))
def test_ten_thousand_names_stand_in_every_page_and_table(names, written_run, registry):
    check_pages_and_tables(names, written_run, registry)
    check_figures(names)


class Heard(Observer):
    def __init__(self):
        self.warnings = []

    def warned(self, message):
        self.warnings.append(message)


@pytest.mark.long  # takes a run
def test_a_run_on_classes_of_hostile_names_ends_well(workplace, registry):
    rng, names = np.random.default_rng(0), HOSTILE[:12]
    for name in names:
        for number in range(6):
            file = workplace / "photos" / name / f"{name} {number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(file)
    heard = Heard()
    experiment = {
        "name": "names",
        "dataset": {"name": "image_folder", "path": "photos", "test_fraction": 0.3},
        "architecture": {"name": "sequential_cnn", "depth": 1, "filters": 2},
        "training": {"image_size": 8, "batch_size": 8},
        "stages": [{"name": "all", "unfreeze": "all", "epochs": 1, "learning_rate": 1e-3}],
    }
    experiment["stages"][0]["class_weights"] = dict.fromkeys(names, 1.5)
    run_experiment(bind_experiment(experiment, registry), heard)
    assert not [said for said in heard.warnings if "could not" in said or "uploaded later" in said]
    result = find_run("last")
    assert {"confusion_matrix.png", "report.html"} <= {f.name for f in result.folder.iterdir()}
    page = PageText((result.folder / "report.html").read_text())
    assert all(page.holds(name) for name in names)
