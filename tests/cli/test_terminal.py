"""What the terminal says of a run."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from kerascnn.cli.tables.lines import verdict
from kerascnn.cli.terminal import Terminal
from kerascnn.engine.metrics.standing import Score, Standing


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
    assert "2 notes about the data as before; `kerascnn check 'my photos.toml'` shows them" in line
    assert shown(notes, "a state", None) == first  # as `check` does
    assert shown(notes, "another state", file) == first
    assert shown([], "a state", file) == ""


def standing(right):
    """So many of ten images are right."""
    return Standing(Score(right / 10, 1.0), np.arange(10) < right)


@pytest.mark.parametrize(
    ("own", "kept", "end"),
    [
        (9, True, "✓[/green] kept"),
        (5, True, "no difference: kept"),
        (4, True, 'worse: kept, for keep = "last"'),
        (4, False, "worse: the weights from before it are kept"),
    ],
)
def test_the_verdict_on_a_stage_says_what_is_kept_and_why(own, kept, end):
    said = verdict(SimpleNamespace(own=standing(own), kept=kept), standing(5))
    assert said.startswith(f"{(own - 5) / 10:+.3f} validation accuracy (paired 95%: ")
    assert said.endswith(end)
