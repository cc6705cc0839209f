import time
from dataclasses import replace

import pytest

from kerascnn.studies.best.clock import CLOSING_SECONDS, Clock, Counts
from kerascnn.studies.best.result import DONE, Tried
from kerascnn.studies.best.rungs import FINETUNED, FROZEN, Rung

HEAD = Rung(FROZEN, "one", 224, 20)
COUNTS = Counts(train=1000, validation=200, test=100, known=500)


def finetuned(epochs):
    return Rung(FINETUNED, "one", 224, epochs, views=epochs)


def took(rung, seconds, **taken):
    return Tried(0, rung.what, DONE, rung, seconds=seconds, **taken)


@pytest.fixture
def clock():
    """After the features of one network, which took 10 s of 12."""
    clock = Clock(180.0, time.perf_counter() - 12, COUNTS)
    clock.measured(took(HEAD, 12.0, prefix_seconds=10.0, rows_made=1000, fit_seconds=1.0))
    return clock


def test_what_is_left_shrinks(clock):
    assert clock.left == pytest.approx(168, abs=1)


def test_nothing_is_expected_of_a_network_that_has_not_run(clock):
    assert clock.trial(Rung(FROZEN, "two", 224, 20)) is None
    assert clock.trial(HEAD) is not None


def test_more_views_and_epochs_are_expected_to_take_more_time(clock):
    few, many = clock.trial(finetuned(2)), clock.trial(finetuned(8))
    assert 20 < few < many
    assert clock.final([finetuned(8)], 4) > clock.final([finetuned(8)], 2)
    assert clock.final([finetuned(8)], 2) > clock.final([finetuned(8)], 0)


def test_a_measured_fit_replaces_the_supposed_one(clock):
    before = clock.trial(finetuned(2))
    taken = {"prefix_seconds": 20.0, "rows_made": 2000, "fit_seconds": 79.0}
    clock.measured(took(finetuned(2), 100.0, **taken))
    assert clock.trial(finetuned(2)) > before


def test_larger_images_are_expected_to_take_the_time_of_their_pixels(clock):
    taken = {"prefix_seconds": 20.0, "rows_made": 2000, "fit_seconds": 40.0}
    clock.measured(took(finetuned(2), 62.0, **taken))
    larger = replace(finetuned(2), image_size=448)
    around = 1.0  # of the head, which took least
    passes = clock.trial(finetuned(2)) - around
    head = 4 * 0.01 * COUNTS.train  # whose images have not been through the prefix at this size
    assert clock.trial(larger) - around == pytest.approx(4 * passes + head)


def test_what_is_not_trained_again_is_only_tested(clock):
    assert clock.final([HEAD], 0) < clock.final([HEAD], 2)
    assert clock.final([HEAD], 0) > CLOSING_SECONDS
    assert clock.final([HEAD, finetuned(2)], 0) > clock.final([HEAD], 0) + 1


def test_a_mean_runs_over_the_images_that_are_kept_with_each_network(clock):
    both = HEAD, finetuned(2)
    apart = sum(clock.final([one], 0) for one in both)
    assert clock.final(both, 0) > apart + 5  # 500 images, at 0.015 s and for each network
