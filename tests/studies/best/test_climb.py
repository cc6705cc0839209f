"""The climb with trials that are made up: what fails, what is late, and what is the best."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kerascnn.engine.data.sources.download import NotAtHandError
from kerascnn.errors import RunError
from kerascnn.run.trial import LABELS, VALIDATION
from kerascnn.studies.best import climb as module
from kerascnn.studies.best.climb import Climb
from kerascnn.studies.best.clock import Clock, Counts
from kerascnn.studies.best.heard import OutOfTimeError
from kerascnn.studies.best.observer import BestObserver
from kerascnn.studies.best.result import DONE, FAILED, LEFT_OUT, BestResult
from kerascnn.studies.best.rungs import FINETUNED, FROZEN, MORE_EPOCHS, Rung
from kerascnn.studies.best.verdict import alike, sentences

LABEL = np.tile([0, 1], 20)
STAGE = SimpleNamespace(
    prefix_seconds=1.0, fit_seconds=1.0, cached=SimpleNamespace(made=100), name="head"
)


def saying(share):
    """Probabilities by which this share of the images is recognised."""
    right = np.arange(len(LABEL)) < share * len(LABEL)
    return np.where(np.eye(2)[np.where(right, LABEL, 1 - LABEL)] > 0, 0.8, 0.2).astype(np.float32)


@pytest.fixture
def climb(tmp_path, monkeypatch):
    """Climbs with the outcomes of networks by name: a share of a head, or an error.

    It takes three seconds. A fine-tuned network has 0.1 more and takes longer.
    """

    def run(outcomes, minutes=10.0, kinds=(FROZEN,)):
        def trial(rung, heard, *, folder, **_):
            outcome = outcomes[rung.network]
            if isinstance(outcome, Exception):
                raise outcome
            takes = 3.0 if rung.kind == FROZEN else 8.5
            if takes > heard._allowed:
                clock.start -= heard._allowed / 2
                raise OutOfTimeError(takes)
            clock.start -= takes
            said = saying(outcome + 0.1 * (rung.kind == FINETUNED))
            folder.mkdir(parents=True)
            np.save(folder / VALIDATION, said)
            np.save(folder / LABELS, LABEL)
            look = SimpleNamespace(probabilities=said, labels=LABEL)
            return SimpleNamespace(seconds=3.0, stages=[STAGE], look=look)

        monkeypatch.setattr(module, "run_trial", trial)
        monkeypatch.setattr("kerascnn.studies.best.rungs.Rung.of", lambda rung, *_: rung)
        ladder = module.ladder
        of_kinds = lambda *names: (  # noqa: E731
            rungs for rungs in ladder(*names) if rungs[0].kind in kinds
        )
        monkeypatch.setattr(module, "ladder", of_kinds)
        clock = Clock(60 * minutes, time.perf_counter(), Counts(80, len(LABEL), 20))
        so_far = BestResult("study", "x", minutes, 0.0, len(LABEL), str(tmp_path))
        climbing = Climb(
            *(None, None, tuple(outcomes), None, clock, BestObserver(), print), so_far=so_far
        )
        climbing.run()
        return climbing

    return run


def test_a_network_that_fails_or_is_not_at_hand_leaves_the_others_as_they_are(climb):
    outcomes = {"big": RunError("memory"), "far": NotAtHandError("a download"), "one": 0.9}
    tried = climb(outcomes).so_far.tried
    assert [one.state for one in tried[:3]] == [FAILED, LEFT_OUT, DONE]
    assert [one.reason for one in tried[:3]] == ["memory", "a download", ""]


def test_what_the_images_do_not_tell_from_the_best_is_named(climb):
    climbing = climb({"one": 0.9, "alike": 0.875, "worse": 0.5})
    result = replace(climbing.so_far, not_told_apart=climbing.not_told_apart())
    (sentence,) = alike(result)
    assert sentence == "1 other cannot be told apart from it: alike at 224 px, frozen."
    (sentence,) = alike(climbing.so_far)
    assert sentence == "All others are worse by the paired test."
    assert alike(replace(result, tried=result.tried[:1])) == []


def test_one_that_takes_too_long_is_left_out_with_what_it_needs(climb):
    (one,) = climb({"slow": OutOfTimeError(500.0)}).so_far.tried
    assert (one.state, one.seconds >= 500) == (LEFT_OUT, True)
    assert "needs about 8 min 2" in one.reason


def test_a_gain_is_measured_against_the_best_before(climb):
    so_far = climb({"one": 0.8, "two": 0.95, "three": 0.7}).so_far
    assert so_far.best.rung.network == "two"
    assert so_far.tried[1].gain == pytest.approx(0.15)
    assert so_far.tried[1].gain_interval[0] > 0
    three = next(one for one in so_far.tried if one.rung.network == "three")
    assert (three.better, three.gain) == (False, pytest.approx(-0.25))


def test_the_best_alone_is_run_if_all_others_are_worse(climb):
    climbing = climb({"one": 0.95})
    climbing.so_far = replace(climbing.so_far, tried=climbing.so_far.tried[:1])
    ending = climbing.finished()
    assert ending.one.rung.network == "one"
    assert ending.retrained
    assert not climbing.finished(in_haste=True).retrained


def test_of_several_that_may_be_the_best_the_mean_is_run(climb):
    climbing = climb({"one": 0.9, "two": 0.9, "worse": 0.5})
    alone = climbing.so_far.best
    ending = climbing.finished()
    networks = {part.rung.network for part in climbing.so_far.parts(ending.one)}
    assert (networks, ending.one.better) == ({"one", "two"}, True)
    assert climbing.so_far.best == ending.one
    assert climbing.not_told_apart() == [0, 1]  # not the mean itself
    said = sentences(climbing.so_far)[0]
    assert said.startswith("Of 3, none is surely the best. This is the mean of one at 224 px")
    climbing.failed(ending.one, "memory")
    assert climbing.so_far.best == alone


def test_no_time_is_kept_from_a_fine_tuning_for_a_mean_of_frozen_networks(climb):
    climbing = climb({"one": 0.9, "two": 0.9})
    clock, members = climbing.clock, climbing._rungs(climbing._members())
    alone, tuned = climbing.so_far.best.rung, Rung(FINETUNED, "one", 224, 4, views=4)
    ends = clock.final([alone], 2), clock.final([tuned], 2)
    assert climbing._reserve(tuned, 2) == max(ends)
    assert climbing._reserve(alone, 2) == clock.final(members, 2) > max(ends)


@pytest.mark.parametrize("seconds", [14, 20, 28, 60])
def test_the_end_has_the_time_to_train_on_the_validation_images_too(climb, seconds):
    climbing = climb({"one": 0.9}, seconds / 60, (FROZEN, FINETUNED))
    ending, clock = climbing.finished(), climbing.clock
    assert ending.retrained
    rungs = [part.rung for part in climbing.so_far.parts(ending.one)]
    assert clock.final(rungs, ending.more_epochs) <= clock.left
    more = [one for one in MORE_EPOCHS if clock.final(rungs, one) <= clock.left]
    assert ending.more_epochs == max(more)


@pytest.mark.parametrize(("seconds", "state"), [(14, LEFT_OUT), (60, DONE)])
def test_a_network_of_unknown_speed_is_begun_only_if_much_time_is_left(climb, seconds, state):
    tried = climb({"one": 0.9, "two": 0.9}, seconds / 60).so_far.tried
    assert next(one for one in tried if one.rung.network == "two").state == state


def test_nothing_is_begun_when_the_time_is_over(climb):
    assert {one.state for one in climb({"one": 0.9}, minutes=0.0).so_far.tried} == {LEFT_OUT}
