"""Studies on a few coloured shapes, with a tiny network."""

import json

import pytest

from kerascnn.errors import RunError
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.find import find_run
from kerascnn.studies.best import climb, story
from kerascnn.studies.best.asked import Asked
from kerascnn.studies.best.observer import BestObserver
from kerascnn.studies.best.result import BestResult
from kerascnn.studies.best.rungs import FROZEN, Rung
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
    """A ladder of two rungs of a tiny network on tiny images, one epoch each."""
    rungs = [Rung(FROZEN, "sequential_cnn", 16, 1, seed=seed) for seed in (0, 1)]
    monkeypatch.setattr(climb, "ladder", lambda *_: [[rung] for rung in rungs])
    monkeypatch.setattr(story, "IMAGE_SIZE", 16)
    monkeypatch.setattr("kerascnn.run.runner.draw_report", lambda *_: None)
    return Asked(bind_experiment(shapes_experiment), False, ("sequential_cnn",))


@pytest.mark.long  # two studies train a network six times, and save and load what they end with
def test_an_interrupted_study_ends_with_the_best_so_far_and_goes_on_later(asked, monkeypatch):
    first = find_best_classifier(asked, 60.0, Watching(interrupt=1))
    assert not first.retrained
    assert first.winner.stages[0]["reused_from"]
    document = json.loads(json.dumps(first.to_json()))
    assert document["test_accuracy"] == find_run(first.winner.run_id).test_accuracy
    assert {"what", "val_accuracy", "seconds"} <= document["tried"][0].keys()
    assert document["not_told_apart"] == []  # of one

    monkeypatch.setattr(climb, "candidates", lambda tried, _: list(tried))
    watching = Watching()
    second = resume_best("last", 60.0, watching)
    assert (second.study, second.minutes) == (first.study, 120.0)
    assert second.tried[0] == first.tried[0]
    assert [one.number for one in watching.lines] == [1, 2]
    assert second.retrained
    members = [find_run(member["run"]) for member in second.winner.ensemble["members"]]
    assert [member.training.train_on for member in members] == 2 * ["train+validation"]
    assert {member.data["train"]["images"] for member in members} == {24}
    assert members[0].temperature == pytest.approx(second.tried[0].temperature)
    assert BestResult.read(second.folder).tried == second.tried
    assert (second.folder / "best.html").is_file()


def test_without_time_for_anything_the_message_says_how_to_go_on(asked):
    with pytest.raises(RunError, match=r"best --resume .* --minutes MINUTES"):
        find_best_classifier(asked, 1e-3, Watching())
