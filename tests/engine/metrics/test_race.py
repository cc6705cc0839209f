"""The race: what is dropped, what never is, and how often the best one is lost in simulations."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerascnn.engine.metrics.race import (
    LEVEL,
    Curve,
    Marks,
    Scoring,
    Verdict,
    distinct_looks,
    verdict,
)
from kerascnn.engine.metrics.significance import grouped_difference, mcnemar
from kerascnn.errors import PluginError

ACCURACY, LOSS = Scoring("val_accuracy"), Scoring("val_loss")
BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def marks(right, images=300, first=0):
    """Correct on `right` images in a row, from image `first` on."""
    correct = np.zeros(images, bool)
    correct[np.arange(first, first + right) % images] = True
    return Marks(right / images, correct)


def curve(*rights, epochs=10, images=300):
    return Curve(epochs, {epoch: marks(right, images) for epoch, right in enumerate(rights, 1)})


def of(*curves):
    return {number: [one] for number, one in enumerate(curves)}


LEADER = (150, 200, 240, 250, 255, 260, 262, 264, 265, 266)


def macro_recall(sign=1, fails=False):
    """A named metric: the mean recall of the classes, or its negative."""

    def compute(labels, probabilities, split):
        if fails:
            raise PluginError("no")
        hits = probabilities.argmax(1) == labels
        return sign * float(np.mean([hits[labels == one].mean() for one in range(3)]))

    return SimpleNamespace(name="recall", sign=sign, compute=compute)


def test_a_trial_that_is_worse_is_dropped_with_the_numbers_that_say_why():
    found = verdict(ACCURACY, 1, of(curve(*LEADER), curve(60, 70, 80, 90)), entrants=2)
    assert found.drop
    assert (found.leader, found.epoch) == (0, 2)  # it may be behind by 4 - 2.8 epochs
    assert (found.mine, found.theirs) == (pytest.approx(0.3), pytest.approx(200 / 300))
    assert found.p_value == mcnemar(0, 110) / 2 * 3  # looks of ten epochs


def test_more_opponents_and_looks_need_a_lower_p_value():
    race = of(curve(*LEADER), curve(60, 130))  # 20 images apart, 3 looks
    few, many = (verdict(ACCURACY, 1, race, entrants=count) for count in (2, 100))
    assert few.p_value == pytest.approx(3 * 0.5**20, rel=1e-9, abs=0)
    assert many.p_value == pytest.approx(99 * few.p_value, rel=1e-9, abs=0)
    close = of(curve(*LEADER), curve(60, 148))
    assert verdict(ACCURACY, 1, close, entrants=100).p_value == 1.0
    equal = of(curve(200, 210, 220, epochs=3), curve(190, 200, epochs=3))
    assert verdict(ACCURACY, 1, equal, entrants=2).p_value == 1.0


def test_a_trial_is_dropped_up_to_the_level():
    assert [Verdict(0, 1, 0.1, 0.2, p).drop for p in (0.05, 0.051)] == [True, False]


def test_a_slow_starter_that_catches_up_is_kept():
    slow = [LEADER[max(int(epoch * (1 + epoch / 10) / 2), 1) - 1] for epoch in range(1, 11)]
    for until in range(1, 11):
        found = verdict(ACCURACY, 1, of(curve(*LEADER), curve(*slow[:until])), entrants=2)
        assert not (found and found.drop)


@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 20, 47])
def test_looks_are_counted_once_for_all_windows_that_share_an_epoch(epochs):
    firsts = {epoch: epoch * (epochs + epoch) // (2 * epochs) for epoch in range(2, epochs)}
    windows = [set(range(first, epoch + 1)) for epoch, first in firsts.items() if first]
    hit, count = set(), 0
    for window in windows:  # in the order of their ends
        if not hit & window:
            hit.add(max(window))
            count += 1
    assert distinct_looks(epochs) == max(1, count)


def test_a_dip_of_the_trial_or_a_leap_of_the_leader_drops_no_one():
    dip = curve(150, 200, 240, 30)
    assert not verdict(ACCURACY, 1, of(curve(*LEADER), dip), entrants=2).drop
    leap = curve(150, 290, 290, 190, 280)
    assert not verdict(ACCURACY, 1, of(leap, curve(150, 180, 185, 187, 189)), entrants=2).drop


def test_the_window_ends_with_the_trials_own_epoch():
    leap = curve(150, 290, 290, 190, 280)
    assert verdict(ACCURACY, 1, of(leap, curve(150, 180, 185, 187)), entrants=2).epoch == 4
    falls = curve(200, 290, 290, 290, 100)
    assert verdict(ACCURACY, 1, of(falls, curve(10, 10, 10)), entrants=2).epoch == 1


def test_no_one_is_dropped_without_an_opponent_that_is_as_far_or_after_the_last_epoch():
    bad = curve(10, 20)
    assert verdict(ACCURACY, 0, of(bad), entrants=2) is None
    assert verdict(ACCURACY, 1, of(curve(290), bad), entrants=2) is None
    assert verdict(ACCURACY, 1, of(Curve(10, {10: marks(290)}), bad), entrants=2) is None
    assert verdict(ACCURACY, 1, of(curve(*LEADER), curve(*[30] * 10)), entrants=2) is None


def test_the_best_so_far_leads_however_good_another_was_early():
    faded = curve(280, 280, 280, 200, 150)
    found = verdict(ACCURACY, 2, of(faded, curve(*LEADER), curve(190, 195, 198)), entrants=3)
    assert found.leader == 1
    assert not found.drop


def test_trials_of_different_length_are_compared_at_the_same_share():
    long = Curve(20, {epoch: marks(10 * epoch) for epoch in range(1, 21)})
    found = verdict(ACCURACY, 1, of(long, Curve(5, {1: marks(5), 2: marks(5)})), entrants=2)
    assert found.epoch == 5  # of 20 as 1.4 of 5, down to the whole epoch
    assert found.drop


def test_every_seed_of_a_setting_counts_for_it():
    weak, strong = curve(*[60] * 10), curve(*LEADER)
    race = {0: [strong, weak], 1: [curve(70, 80, 90, 95)]}
    assert not verdict(ACCURACY, 1, race, entrants=2).drop  # one seed of the leader is worse
    race = {0: [strong, strong], 1: [strong, curve(10, 10, 10, 10)]}
    assert not verdict(ACCURACY, 1, race, entrants=2).drop  # its first seed is as good
    race = {0: [strong, strong], 1: [curve(10, 10, 10, 10)]}
    assert verdict(ACCURACY, 1, race, entrants=2).drop


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_the_one_in_the_lead_is_never_dropped_whatever_the_order(data):
    count = data.draw(st.integers(2, 5))
    rights = st.lists(st.integers(0, 60), min_size=1, max_size=6)
    race = {n: [curve(*data.draw(rights), epochs=6, images=60)] for n in range(count)}
    values = {n: max(m.value for m in race[n][0].looks.values()) for n in race}
    best = max(values, key=values.get)
    found = verdict(ACCURACY, best, race, count)
    assert found is None or not found.drop
    shuffled = dict(data.draw(st.permutations(list(race.items()))))
    entrant = data.draw(st.sampled_from(list(race)))
    one, other = (verdict(ACCURACY, entrant, some, count) for some in (race, shuffled))
    assert (one and one.p_value) == (other and other.p_value) or ties(race, entrant)


def ties(race, entrant):
    """Whether two opponents end with the same value, so that either may lead."""
    ends = [list(c[0].looks.values())[-1].value for n, c in race.items() if n != entrant]
    return len(set(ends)) < len(ends)


def test_marks_of_accuracy_and_loss_are_those_of_each_image():
    labels = np.array([0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [1.0, 0.0]], np.float32)
    assert ACCURACY.marks(probabilities, labels).parts.tolist() == [True, False, False]
    loss = LOSS.marks(probabilities, labels)
    assert loss.parts == pytest.approx(np.log([0.9, 0.4, 1e-7]), rel=1e-6)
    assert loss.value == pytest.approx(loss.parts.mean())
    assert (ACCURACY.sign, LOSS.sign) == (1, -1)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_named_metric_is_compared_by_a_paired_bootstrap(sign):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=300)
    guess = np.eye(3)[labels] * 0.5 + rng.dirichlet(np.ones(3), 300)
    worse = np.where(rng.random((300, 1)) < 0.25, np.roll(guess, 1, 1), guess)
    scoring = Scoring("val_recall", macro_recall(sign))
    one, other = (scoring.marks(p.astype(np.float32), labels) for p in (guess, worse))
    assert one.value > other.value  # greater is better, whatever the metric's direction
    assert scoring.p_value([one], [other]) < 1e-6
    assert scoring.p_value([one], [one]) == 1.0
    assert one.parts.mean() == pytest.approx(one.value, abs=0.01)
    assert 0.015 < one.parts.std() < 0.035  # the standard error of a share of 300 images: 0.025
    assert scoring.sign == sign


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_a_metric_that_is_not_defined_marks_nothing():
    labels, probabilities = np.zeros(4, int), np.ones((4, 3), np.float32) / 3
    assert Scoring("val_recall", macro_recall(fails=True)).marks(probabilities, labels) is None
    with np.errstate(all="ignore"):
        assert Scoring("val_recall", macro_recall()).marks(probabilities, labels) is None


def test_the_error_of_a_named_metric_is_that_of_the_samples_where_it_is_defined():
    scoring, nan = Scoring("val_recall", macro_recall()), np.nan
    assert scoring.error(np.array([1, nan, 2, 4])) == (pytest.approx(7 / 3), 2)
    assert scoring.error(np.array([1, nan, 2, nan])) == (np.inf, 1)  # too few to know


@pytest.mark.parametrize("seeds", [2, 3])
def test_seeds_are_tested_with_their_own_variance(seeds):
    rng = np.random.default_rng(1)
    groups = [rng.random((seeds, 200)) < share for share in (0.8, 0.7)]
    entrants = [[Marks(float(one.mean()), one) for one in group] for group in groups]
    p_value = ACCURACY.p_value(*entrants)
    assert p_value == pytest.approx(grouped_difference(*groups)[2])
    assert ACCURACY.p_value(*entrants[::-1]) == p_value
    alone, many = entrants[0][:1], entrants[1]
    assert ACCURACY.p_value(alone, many) == ACCURACY.p_value(many, alone)


@pytest.mark.parametrize("scoring", [ACCURACY, LOSS])
def test_equal_trials_have_small_p_values_as_rarely_as_they_should(scoring):
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(300):
        hardness = rng.normal(size=200)
        sure = 3 * (1 - 0.9 * hardness - 0.45 * rng.normal(size=(2, 200)))
        right = (1 / (1 + np.exp(-sure))).astype(np.float32)
        labels, both = np.zeros(200, int), np.stack([right, 1 - right], -1)
        p_values.append(scoring.p_value(*([scoring.marks(one, labels)] for one in both)))
    assert np.mean(np.array(p_values) <= 0.05) <= 0.075
    assert np.mean(np.array(p_values) <= 0.005) <= 0.0125


@pytest.mark.long  # 84 sweeps of up to 40 trials, most of them with crossing curves
@pytest.mark.parametrize(
    ("trials", "epochs", "images", "sweeps"), [(10, 3, 192, 15), (40, 10, 300, 6)]
)
def test_the_best_trial_is_rarely_dropped(monkeypatch, trials, epochs, images, sweeps):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import race

    lost = []
    for seed in range(sweeps):
        for family in race.FAMILIES:
            correct, true = race.simulated(trials, epochs, images, family, seed)
            rng, workers = np.random.default_rng(seed), 1 + 3 * (seed % 2)
            _, dropped = race.run_sweep(trials, epochs, race.race(correct), rng, workers)
            lost.append(dropped[true.argmax()])  # of equal trials the first
    assert np.mean(lost) <= LEVEL
