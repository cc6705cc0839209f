"""The sentences on a sweep."""

import pytest
from swept import swept, trial

from kerascnn.studies.sweep.report import verdict


def test_complete_trials_come_first_then_pruned_ones_the_best_first(tmp_path):
    result = swept(tmp_path)
    ranked = verdict.ranked(result)
    assert [one.number for one in ranked[:3]] == [1, 0, 7]
    states = [one.state for one in ranked]
    assert states == ["complete"] * 7 + ["pruned"] * 4 + ["failed"]
    lower = swept(tmp_path, metric="val_loss", greater_is_better=False)
    values = [one.value for one in verdict.ranked(lower)[:7]]
    assert values == sorted(values)


def test_the_verdict_names_the_best_the_uncertain_and_the_optimism(tmp_path):
    assert verdict.sentences(swept(tmp_path)) == [
        "Trial 1 is the best: validation accuracy 0.950 [0.921, 0.979] on 225 images.",
        "2 other trials cannot be told apart from it: trials 0, 7.",
        "As the best of 7 complete trials, its value is expected to be 0.012 too high: about 0.938 "
        "on other images.",
    ]


def test_a_lower_value_is_too_low(tmp_path):
    result = swept(tmp_path, metric="val_loss", greater_is_better=False)
    assert "0.012 too low: about 0.962" in verdict.optimism(result)
    none = swept(tmp_path, optimism=0.0)
    assert verdict.optimism(none).endswith("is expected to be less than 0.001 too high")


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([], "Every other complete trial is worse by the paired test"),
        ([0], "1 other trial cannot be told apart from it: trial 0"),
        ([0, 3, 6, 7, 9, 10], "No other complete trial can be told apart from it: trials 0, 3, 6"),
    ],
)
def test_how_many_trials_are_uncertain(tmp_path, others, said):
    assert verdict.alike(swept(tmp_path, not_told_apart=others)).startswith(said)


def test_a_sweep_without_a_complete_trial_says_so(tmp_path):
    failed = [trial(0, None, {}, "failed")]
    result = swept(tmp_path, trials=failed, best=None, optimism=None, not_told_apart=[])
    assert verdict.sentences(result) == ["No trial is complete."]
    assert verdict.tally(result) == "1 failed"


def test_the_winner_s_commands_follow_its_test(tmp_path, written_run):
    result = swept(tmp_path, winner=written_run("b" * 32, [True] * 9 + [False]))
    assert "test accuracy of 0.900 [" in verdict.tested(result)
    assert verdict.next_commands(result)[0] == ("report", "b" * 8, "--open")
    assert verdict.next_commands(result)[-1][1].endswith("/winner.toml")
