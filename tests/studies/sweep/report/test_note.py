"""What MLflow shows of a sweep."""

from swept import swept

from kerascnn.studies.sweep.report.note import note, numbers, params


def test_the_note_has_the_verdict_the_best_trials_and_what_was_tried(tmp_path, written_run):
    said = note(swept(tmp_path, winner=written_run("b" * 32, [True, False])))
    assert said.startswith("**Trial 1 is the best")
    assert "test accuracy of 0.500" in said
    assert said.count("\n| ") == 12  # head, rule and ten trials
    assert "and 2 more" in said
    assert "- `stages.head.learning_rate`: 0\\.0001 to 0\\.01, logarithmic" in said


def test_the_sweep_s_run_has_the_best_value_under_the_trials_name(tmp_path):
    result = swept(tmp_path)
    assert numbers(result) == {
        "val_accuracy": 0.95,
        "optimism": 0.012,
        "trials": 12.0,
        "trials_complete": 7.0,
        "trials_pruned": 4.0,
        "trials_failed": 1.0,
    }
    assert params(result)["space.training.ema"] == "true, false"
    assert params(result)["sweep.sampler"] == "tpe"
    assert "sweep.minutes" not in params(result)
