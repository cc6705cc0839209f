"""The command `best`: what it passes on and prints; `studies/best/test_story.py` trains."""

import json

import click
import pytest

from kerascnn import cli
from kerascnn.studies.best.result import DONE, BestResult, Tried
from kerascnn.studies.best.rungs import FROZEN, Rung

RUNG = Rung(FROZEN, "sequential_cnn", 224, 20)
FIGURES = {"val_accuracy": 0.9, "interval": (0.8, 0.95), "val_loss": 0.3, "temperature": 1.0}


@pytest.fixture
def study(workplace, written_run):
    """What a study ends with, in its folder."""
    folder = workplace / "kerascnn-runs" / ("b" * 32)
    folder.mkdir(parents=True)
    (folder / "best.toml").touch()
    done = Tried(0, RUNG.what, DONE, RUNG, seconds=12.0, better=True, **FIGURES)
    winner = written_run("a" * 32, [True] * 8)
    result = BestResult(
        *("b" * 32, "photos", 3.0, 170.0, 20, str(folder)), tried=[done], winner=winner
    )
    result.write()
    return result


@pytest.fixture
def called(monkeypatch, study):
    """The arguments of the studies that the command begins, or goes on with."""
    calls = []

    def begin(*arguments, **options):
        calls.append((arguments[:2], options))
        return study

    monkeypatch.setattr("kerascnn.studies.best.best.best_classifier", begin)
    monkeypatch.setattr("kerascnn.studies.best.story.resume_best", begin)
    return calls


def run(*words):
    cli.cli.main(["best", *words], standalone_mode=False)


def test_options_are_passed_on(called, workplace):
    run("photos", "--minutes", "7", "--networks", "one,two", "--seed", "3", "--all-images")
    ((_, minutes), options) = called[0]
    assert minutes == 7
    assert options["networks"] == ["one", "two"]
    assert (options["seed"], options["all_images"]) == (3, True)


def test_a_study_goes_on_for_more_minutes(called):
    run("--resume", "last", "--minutes", "5")
    assert called[0][0] == ("last", 5.0)


@pytest.mark.parametrize(
    "words", [["photos", "--resume", "last"], ["--show", "last", "--seed", "1"]]
)
def test_resume_and_show_take_everything_from_the_study(called, words):
    with pytest.raises(click.UsageError, match="take everything from the study"):
        run(*words)


@pytest.mark.parametrize("minutes", ["0", "-1"])
def test_a_time_of_nothing_is_refused(called, minutes):
    with pytest.raises(click.BadParameter, match="not in the range"):
        run("photos", "--minutes", minutes)


def test_the_document_is_that_of_the_run_with_what_was_tried(called, capsys):
    run("photos", "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["test_accuracy"] == 1.0
    assert document["tried"][0]["what"] == RUNG.what
    assert document["tried"][0]["val_accuracy"] == 0.9


def test_a_study_is_shown_with_its_next_commands(study, capsys):
    run("--show", "last")
    said = capsys.readouterr().out
    assert "0.900 [0.800, 0.950]  best so far  sequential_cnn at 224 px, frozen" in said
    assert "accuracy 1.000" in said
    assert f"report {'a' * 8} --open" in said
