"""The command `sweep`, without training."""

import json
from dataclasses import replace

import pytest
from swept import swept

from kerascnn.cli import sweep as command
from kerascnn.studies.sweep import story

RATE = "stages.0.learning_rate=1e-4..1e-2"


@pytest.fixture
def written(workplace):
    """A sweep that has ended, in the folder of runs."""
    folder = workplace / "kerascnn-runs" / ("5" * 32)
    folder.mkdir(parents=True)
    (folder / "sweep.toml").write_text("")
    result = replace(swept(folder), study=folder.name)
    result.write()
    return result


def test_show_and_best_take_a_prefix_of_the_id(run_cli, written):
    shown = run_cli("sweep", "show", "555")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert f"trial {written.best.number}" in run_cli("sweep", "best", "last").stdout
    document = json.loads(run_cli("sweep", "show", "last", "--json").stdout)
    assert document["study"] == written.study
    assert {"number", "state", "value", "params", "seconds", "run_id"} <= set(document["trials"][0])
    assert set(document["best"]) == {"number", "params"}
    best = json.loads(run_cli("sweep", "best", "5", "--json").stdout)
    assert best["best"] == document["best"]


def test_a_sweep_that_does_not_exist_is_told(run_cli, workplace):
    answer = run_cli("sweep", "show", "abc")
    assert answer.exit_code == 2
    assert 'no sweep "abc" in' in answer.stderr
    assert "no sweep in" in run_cli("sweep", "--resume", "last").stderr
    assert "has no winner yet" not in run_cli("sweep", "best", "abc", "--toml").stderr


def test_a_sweep_without_a_winner_has_no_experiment(run_cli, written):
    answer = run_cli("sweep", "best", "last", "--toml")
    assert answer.exit_code == 2
    assert "sweep 55555555 has no winner yet" in answer.stderr


def test_what_is_at_fault_is_told_before_anything_runs(run_cli, shapes_file, monkeypatch):
    monkeypatch.setattr(story, "run_sweep", lambda *_, **__: pytest.fail("it began"))
    for arguments, message in {
        ("--try", "stages.0.rate=1..2"): "--try stages.scratch.rate = 1: unknown key.",
        ("--try", RATE, "--sampler", "gird"): '--sampler = "gird": expected "tpe", "random"',
        (): "nothing to try: give --try KEY=LOW..HIGH",
        ("--try", RATE, "--metric", "accuracy"): 'metric = "accuracy": expected "val_accuracy"',
    }.items():
        answer = run_cli("sweep", shapes_file, *arguments)
        assert answer.exit_code == 2
        assert answer.stderr.startswith(message)
        assert answer.stderr.count("\n") == 1


def test_storage_without_heartbeats_is_refused_before_the_data_are_read(run_cli, shapes_file):
    answer = run_cli("sweep", shapes_file, "--try", RATE, "--storage", "journal.log")
    assert answer.exit_code == 2
    assert "Without heartbeats" in answer.stderr
    assert not (shapes_file.parent / "kerascnn-runs").exists()


def test_resume_takes_no_other_settings(run_cli, shapes_file):
    for arguments in (
        (shapes_file, "--resume", "last"),
        ("--resume", "last", "--try", RATE),
        ("--resume", "last", "--sampler", "random"),
    ):
        answer = run_cli("sweep", *arguments)
        assert answer.exit_code == 2
        assert "continues the sweep as it was begun" in answer.stderr
    assert "Missing argument 'FILE'" in run_cli("sweep").stderr


def test_the_help_shows_the_options(run_cli):
    shown = run_cli("sweep", "--help").stdout
    assert "--try KEY=LOW..HIGH" in shown
    assert "sweep show SWEEP" in shown
    assert "kerascnn sweep [OPTIONS] [FILE]" in shown
    assert command.START not in command.sweep.list_commands(None)


@pytest.fixture
def sweep_file(shapes_file, workplace):
    (workplace / "sweep.toml").write_text(
        f'experiment = "{shapes_file.name}"\ntrials = 4\n[space]\n'
        '"stages.scratch.learning_rate" = { from = 1e-4, to = 1e-2 }\n'
    )


@pytest.mark.long  # builds a network
def test_a_sweep_is_checked_without_a_trial(run_cli, sweep_file):
    answer = run_cli("check", "sweep.toml")
    assert answer.exit_code == 0, answer.stderr
    assert "sweep     at most 4 trials over stages.scratch.learning_rate" in answer.stdout
    assert "8 validation images can show only differences of 0.75 or more" in answer.stderr


def test_a_sweep_is_not_run_as_an_experiment(run_cli, sweep_file):
    answer = run_cli("run", "sweep.toml")
    assert answer.exit_code == 2
    assert answer.stderr == (
        "sweep.toml is a sweep, not an experiment; `kerascnn sweep sweep.toml` runs it.\n"
    )
