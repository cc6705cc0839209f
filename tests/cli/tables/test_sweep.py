"""What the commands on sweeps print."""

import io

import pytest
from rich.console import Console
from swept import LONG, swept

from kerascnn.cli.tables.sweep import show_best, show_sweep


@pytest.fixture
def printed(tmp_path):
    def show(result, width, everything=False):
        console = Console(file=io.StringIO(), width=width, highlight=False, emoji=False)
        show_sweep(console, result, everything)
        return console.file.getvalue()

    return show


@pytest.mark.parametrize("keys", [1, 3, 8])
def test_eighty_columns_hold_every_line_but_commands(printed, tmp_path, keys):
    said = printed(swept(tmp_path, 20, keys), 80)
    assert all(len(line.rstrip()) <= 80 for line in said.splitlines())
    assert "and 8 more; `kerascnn sweep show c0ffee12 --all` lists them" in said
    assert " 1     0.950  [0.921, 0.979]" in said
    assert "not told apart" in said


def test_wide_terminals_have_a_column_for_each_key(printed, tmp_path):
    head = printed(swept(tmp_path, keys=3), 200).splitlines()[2].split()
    assert head[:3] == ["trial", "accuracy", "95%"]
    assert head[3:] == ["learning_rate", "architecture", "ema", "time", "epochs", "state"]


def test_all_trials_are_listed_with_their_reasons(printed, tmp_path):
    said = printed(swept(tmp_path, keys=1), 120, everything=True)
    assert said.count("pruned: worse than trial 1 after epoch 2 (p < 0.001)") == 4
    assert "trial 4 failed: NaN: the loss is [not] a number" in said
    assert "--all" not in said


def test_the_verdict_follows_the_table(printed, tmp_path):
    said = printed(swept(tmp_path, keys=2), 120)
    assert "best      trial 1: validation accuracy 0.950 [0.921, 0.979] on 225 images" in said
    assert (
        "expect    As the best of 7 complete trials, its value is expected to be 0.012 too high"
        in said
    )
    assert "keys      by importance: learning_rate 50%, architecture 50%" in said
    assert said.rstrip().endswith("kerascnn sweep --resume c0ffee12")


def test_the_best_is_printed_with_its_settings_in_full(tmp_path):
    result = swept(tmp_path, keys=2)
    console = Console(file=io.StringIO(), width=200, highlight=False)
    show_best(console, result)
    assert result.best.params["architecture.name"] in (LONG, "mobilenet_v2")
    assert f"architecture={result.best.params['architecture.name']}" in console.file.getvalue()
