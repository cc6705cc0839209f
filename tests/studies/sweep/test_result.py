"""The outcome of a sweep: what its file holds, and what a notebook shows."""

import json

import pytest

from kerascnn.errors import InputError
from kerascnn.studies.sweep.result import SWEEP, SweepResult, Trial


def trial(number, value, state="complete", **changes):
    fields = {
        "number": number,
        "state": state,
        "value": value,
        "interval": None if value is None else (value - 0.1, value + 0.1),
        "params": {"stages.head.learning_rate": 10.0**-number},
        "seconds": 1.0,
        "run_id": f"{number:032x}",
        "epochs": 2,
        "history": [] if value is None else [value / 2, value],
        "reason": "",
        "ended": "",
    }
    return Trial(**(fields | changes))


def outcome(folder, trials, **changes):
    fields = {
        "study": "a" * 32,
        "name": "shapes",
        "metric": "val_accuracy",
        "greater_is_better": True,
        "images": 8,
        "space": {"stages.head.learning_rate": {"from": 0.01, "to": 1.0, "log": True}},
        "trials": trials,
        "best": trials[0],
        "not_told_apart": [1],
        "optimism": 0.02,
        "importance": {},
        "winner": None,
        "seconds": 12.0,
        "settings": {"trials": len(trials)},
        "artifacts": str(folder),
    }
    return SweepResult(**(fields | changes))


def test_the_file_gives_the_outcome_back(tmp_path, written_run):
    run = written_run("b" * 32, [True, False])
    trials = [trial(0, 0.9), trial(1, 0.8), trial(2, None, "failed", reason="it diverged")]
    written = outcome(tmp_path, trials, winner=run)
    written.write()
    read = SweepResult.read(tmp_path / SWEEP)
    assert (read.trials, read.best) == (written.trials, written.best)
    assert json.dumps(read.to_json()) == json.dumps(written.to_json())


def test_the_document_names_the_best_by_its_number(tmp_path):
    document = outcome(tmp_path, [trial(0, 0.9), trial(1, 0.8)]).to_json()
    assert document["best"] == {"number": 0, "params": {"stages.head.learning_rate": 1.0}}
    assert document["winner"] is None
    assert [one["state"] for one in document["trials"]] == ["complete", "complete"]
    json.dumps(document)


def test_another_file_is_refused(tmp_path):
    (tmp_path / SWEEP).write_text('{"trials": []}')
    with pytest.raises(InputError, match="not the outcome of a sweep"):
        SweepResult.read(tmp_path / SWEEP)


def test_a_notebook_shows_what_matters(tmp_path):
    said = repr(outcome(tmp_path, [trial(0, 0.9), trial(1, 0.8, "pruned")]))
    assert "1 complete, 1 pruned" in said
    assert "val_accuracy 0.9000 with stages.head.learning_rate=1.0" in said
    assert "not told apart from 1 trial" in said
