"""What the terminal shows of a sweep while it runs."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from swept import swept

from kerascnn.cli.sweep_terminal import SweepTerminal, seconds_left


def watch(result, console):
    """Shows the trials one by one, then the start of the winner's run."""
    terminal = SweepTerminal(console)
    nothing = {"best": None, "not_told_apart": [], "importance": {}, "seconds": 0.0}
    terminal.sweep_started(replace(result, trials=[], **nothing))
    for count, one in enumerate(result.trials, 1):
        best = result.best if count > result.best.number else None
        so_far = replace(result, trials=result.trials[:count], best=best, seconds=3.0 * count)
        terminal.trial_ended(one, so_far)
    terminal.started("flowers", "tensorflow", "CPU")
    terminal.sweep_ended(result)
    return console.file.getvalue()


def test_without_a_terminal_each_trial_is_a_line(tmp_path):
    said = watch(swept(tmp_path, keys=2), Console(file=io.StringIO(), width=500))
    lines = [line for line in said.splitlines() if "/12  trial " in line]
    assert len(lines) == 12
    assert lines[1].startswith(
        "   2/12  trial 1  0.950 [0.921, 0.979]  best so far  learning_rate="
    )
    assert lines[1].endswith("  2.5 s")
    assert "3/12  trial 2  pruned: worse than trial 1 after epoch 2 (p < 0.001)" in lines[2]
    assert "5/12  trial 4  failed: NaN: the loss is [not] a number" in lines[4]
    assert said.index("sweep of flowers: 12 trials, 2 workers") < said.index(lines[0])
    assert "winner: trial 1, run in full\nflowers · tensorflow on CPU" in said


def test_a_terminal_has_two_lines_and_only_what_must_be_read(tmp_path):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    said = watch(swept(tmp_path, keys=2), console)
    assert "12/12 4 pruned, 1 failed" in said
    assert "best   trial 1  0.950 [0.921, 0.979]  learning_rate=" in said
    assert "trial 4  failed" in said
    assert "trial 2  pruned" not in said


@pytest.mark.parametrize(
    ("minutes", "left"), [(None, "24 s left"), (0.5, "18 s left"), (0.1, "0.0 s left")]
)
def test_the_time_left_is_that_of_trials_or_minutes(tmp_path, minutes, left):
    result = swept(tmp_path)
    settings = {"trials": 12, "minutes": minutes}
    so_far = replace(result, trials=result.trials[:4], seconds=12.0, settings=settings)
    assert seconds_left(so_far) == left
