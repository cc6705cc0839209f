"""What the terminal says of a run."""

import io
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from kerascnn import Observer, run_experiment
from kerascnn.cli.notebook import NotebookTerminal
from kerascnn.cli.tables.lines import verdict
from kerascnn.cli.terminal import WIDE, Terminal
from kerascnn.engine.metrics.score import Standing
from kerascnn.experiment.bound import bind_experiment
from kerascnn.testing.story import stories


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """Shows notes about the data to a terminal and gives what it says."""
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))

    def show(notes, state, file):
        console = Console(file=io.StringIO(), width=200)
        Terminal(console, file).data_noted(notes, state)
        return console.file.getvalue()

    return show


def test_notes_about_the_data_are_shown_in_full_once_and_then_counted(shown):
    notes, file = ["3 pairs of equal images", "few images of rose"], Path("my photos.toml")
    first, again = (shown(notes, "a state", file) for _ in range(2))
    assert [line.split(maxsplit=1)[1] for line in first.splitlines()] == notes
    [line] = again.splitlines()
    assert "2 notes about the data, as before; `kerascnn check 'my photos.toml'` shows them" in line
    assert shown(notes, "a state", None) == first  # as `check` does
    assert shown(notes, "another state", file) == first
    assert shown([], "a state", file) == ""


def standing(right):
    """So many of ten images are right."""
    return Standing(right / 10, 1.0, np.arange(10) < right)


@pytest.mark.parametrize(
    ("own", "kept", "end"),
    [
        (9, True, "✓[/green] kept"),
        (5, True, "no difference: kept"),
        (4, True, 'worse: kept (keep = "last")'),
        (4, False, "worse: kept the weights from before this stage"),
    ],
)
def test_the_verdict_on_a_stage_says_what_is_kept_and_why(own, kept, end):
    said = verdict(SimpleNamespace(own=standing(own), kept=kept), standing(5))
    assert said.startswith(f"{(own - 5) / 10:+.3f} validation accuracy (paired 95%: ")
    assert said.endswith(end)


def test_the_verdict_by_another_metric_gives_its_gain_too():
    own, before = (
        replace(standing(right), metric="log_loss", value=loss, greater_is_better=False)
        for right, loss in ((4, 0.5), (5, 0.75))
    )
    said = verdict(SimpleNamespace(own=own, kept=True), before)
    start = "-0.250 validation log_loss (lower is better), -0.100 validation accuracy (paired 95%: "
    assert said.startswith(start)
    assert said.endswith("✓[/green] kept")


EXPERIMENT = {
    "name": "shapes",
    "metrics": ["balanced_accuracy", "accuracy"],
    "dataset": {"name": "shapes", "classes": 2, "train": 16, "validation": 8, "test": 8},
    "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 4},
    "training": {"image_size": 16, "batch_size": 8},
    "stages": [
        {"name": "all", "unfreeze": "all", "epochs": 2, "learning_rate": 1e-3},
        {"name": "head", "unfreeze": "head", "epochs": 1, "learning_rate": 1e-9},
    ],
}
TRANSCRIPT = """
shapes · tensorflow on DEVICE
data      32 images of 2 classes: 16 train, 8 validation, 8 test   32 packed, #
network   sequential_cnn, from scratch, 2,622 parameters in 2 blocks
run       ID in mlflow.db

1/2 all   trains all
  epoch 1/2  loss #  val accuracy #  lr #  # images/s  #
             val balanced_accuracy #
  epoch 2/2  loss #  val accuracy #  lr #  # images/s  #
             val balanced_accuracy #
  trained 2,574 parameters after input in # · kept epoch # of 2
  frozen prefix none: the first layer is trainable
  frozen weights and BatchNorm unchanged ✓ · optimizer covers exactly the trainable weights ✓

2/2 head   trains head
  epoch 1/1  loss #  val accuracy #  lr #  # images/s  #
             val balanced_accuracy #
  trained 1,410 parameters after head_pool in # · best epoch 1 of 1
  frozen prefix up to head_pool, once for each image · 24 computed, #
  frozen weights and BatchNorm unchanged ✓ · optimizer covers exactly the trainable weights ✓
  # validation accuracy (paired 95%: # to #) no difference: kept the weights from before this stage

test      accuracy # [#, #] on 8 images
          balanced_accuracy # [#, #]
calibrated temperature #, fitted on the validation images
time      #
run       kerascnn-runs/ID
next      kerascnn report last --open
          kerascnn compare
          kerascnn ui
"""


def everything(observers):
    """An observer that passes every event on to several others."""

    def pass_on(event):
        def call(self, *arguments):
            for observer in observers:
                getattr(observer, event)(*arguments)

        return call

    events = [name for name in vars(Observer) if not name.startswith("_")]
    return type("Everything", (Observer,), {event: pass_on(event) for event in events})()


@pytest.fixture(scope="module")
def texts(shared_workplace, registry):
    """One small run as shown on a terminal, in a file and in a notebook, with its last line."""
    streams = {name: io.StringIO() for name in ("terminal", "file", "notebook", "bars")}
    lines = []
    handle = SimpleNamespace(update=lambda line, raw: lines.append(line["text/plain"]))
    module = ModuleType("IPython.display")
    module.display = lambda line, raw, display_id: handle.update(line, raw) or handle
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "IPython.display", module)
        patch.setattr(sys, "stdout", streams["notebook"])
        notebook = NotebookTerminal()
        patch.undo()
        patch.setitem(sys.modules, "IPython.display", module)
        plain = {"highlight": False, "color_system": None}
        tty = Console(file=streams["terminal"], force_terminal=True, width=80, **plain)
        file = Console(file=streams["file"], width=WIDE, **plain)
        bars = Console(file=streams["bars"], force_terminal=True, width=80, **plain)
        observers = [Terminal(tty, bars=bars), Terminal(file), notebook]
        run_experiment(bind_experiment(EXPERIMENT, registry), everything(observers))
    return {name: masked(stream.getvalue()) for name, stream in streams.items()} | {
        "line": masked(lines[-1])
    }


def masked(text):
    """Without what differs from run to run: measured numbers, the run's id, the machine."""
    text = re.sub(r"[0-9a-f]{32}|(?<=run       )[0-9a-f]{8}", "ID", text)
    text = re.sub(r" on (CPU|GPU)\b.*", " on DEVICE", text)
    text = re.sub(r", on OpenVINO [\d.]+", "", text)
    text = re.sub(r"(?<=kept epoch )\d", "#", text)
    return re.sub(
        r"[+-]?\d[\d,]*(\.\d+)?(e[+-]\d+)? s\b|[+-]?\d+\.\d+(e[+-]\d+)?|[\d,]+(?= images/s)",
        "#",
        text,
    )


@pytest.mark.parametrize("where", ["terminal", "file", "notebook"])
def test_a_run_has_one_transcript_wherever_it_is_shown(texts, where):
    assert texts[where].strip() == TRANSCRIPT.strip()


def test_a_stage_of_an_earlier_run_takes_two_lines(tmp_path):
    console = Console(file=io.StringIO(), width=WIDE, highlight=False)
    terminal = Terminal(console)
    [story] = [story for story in stories(tmp_path) if "takes its stage" in story.title]
    for event, arguments in story.events:
        getattr(terminal, event)(*arguments)
    said = console.file.getvalue()
    assert "\n\n1/1 all: as in run 89abcdef, 0.9 s saved\n  kept epoch 2 of 2: val" in said
    assert "trains" not in said


def test_a_notebook_ends_with_the_progress_of_its_last_stage(texts):
    assert re.fullmatch(r"  epoch 1/1 +━+ 2/2 \d:\d\d:\d\d", texts["line"])


def test_bars_are_drawn_on_a_terminal_only(texts):
    assert "packing train" in texts["bars"]
    assert "packing" not in texts["file"]
