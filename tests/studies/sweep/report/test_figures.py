"""The figures of a sweep."""

from dataclasses import replace

from swept import swept

from kerascnn.studies.sweep.report import figures


def test_the_history_is_in_the_order_in_which_trials_ended(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(figures, "_points", lambda axes, result, places: seen.append(places))
    result = swept(tmp_path, 4, 1)
    hours = {0: "12", 1: "11", 2: "09", 3: "10"}
    trials = [replace(one, ended=f"2026-01-01T{hours[one.number]}") for one in result.trials]
    figures.history(replace(result, trials=trials, best=trials[1]), wide=True)
    assert seen == [{2: 1, 3: 2, 1: 3, 0: 4}]
