"""Studies on a few coloured shapes, with a tiny network."""

import json

import pytest

from kerascnn.errors import RunError
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.find import find_run
from kerascnn.studies.best import ladder, story
from kerascnn.studies.best.asked import Asked
from kerascnn.studies.best.observer import BestObserver
from kerascnn.studies.best.result import DONE, BestResult
from kerascnn.studies.best.story import find_best_classifier, resume_best


class Watching(BestObserver):
    """Keeps what is told; interrupts when this many things have been tried."""

    def __init__(self, interrupt=None):
        self.lines, self.warnings, self.interrupt = [], [], interrupt

    def tried(self, one, so_far):
        self.lines.append(one)
        if len(self.lines) == self.interrupt:
            raise KeyboardInterrupt

    def warned(self, message):
        self.warnings.append(message)


@pytest.fixture
def asked(workplace, shapes_experiment, monkeypatch):
    """A ladder of few epochs of a tiny network on tiny images."""
    values = {"IMAGE_SIZE": 16, "LARGER_SIZE": 20, "SEEDS": 1, "THOROUGHNESS": (2, 1)}
    for name, value in {**values, "HEAD_EPOCHS": 2}.items():
        monkeypatch.setattr(ladder, name, value)
    monkeypatch.setattr(story, "IMAGE_SIZE", 16)
    monkeypatch.setattr("kerascnn.run.runner.draw_report", lambda *_: None)
    return Asked(bind_experiment(shapes_experiment), False, ("sequential_cnn",))


@pytest.mark.long  # trains a network five times, in several runs
def test_a_study_ends_with_a_run_trained_on_the_validation_images_too(asked):
    watching = Watching()
    result = find_best_classifier(asked, 5.0, watching)
    assert {one.state for one in watching.lines} == {DONE}
    assert result.retrained
    run = find_run(result.winner.run_id)
    assert run.training.train_on == "train+validation"
    assert run.temperature == pytest.approx(result.best.temperature)
    assert run.data["train"]["images"] == 24 or run.ensemble
    written = BestResult.read(result.folder)
    assert written.tried == result.tried
    document = json.loads(json.dumps(result.to_json()))
    assert document["test_accuracy"] == run.test_accuracy
    assert {"what", "val_accuracy", "seconds"} <= document["tried"][0].keys()


@pytest.mark.long  # two processes' worth of runs
def test_an_interrupted_study_ends_with_the_best_so_far_and_goes_on_later(asked):
    first = find_best_classifier(asked, 5.0, Watching(interrupt=1))
    assert first.winner
    assert len(first.tried) == 1
    watching = Watching()
    second = resume_best("last", 5.0, watching)
    assert second.study == first.study
    assert second.minutes == 10.0
    assert second.tried[0] == first.tried[0]
    assert watching.lines[0].number == 1


def test_without_time_for_anything_the_message_says_how_to_go_on(asked):
    with pytest.raises(RunError, match=r"best --resume .* --minutes MINUTES"):
        find_best_classifier(asked, 1e-3, Watching())
