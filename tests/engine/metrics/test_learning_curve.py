"""Learning curves: laws that are known are found again, within their intervals, and not too far."""

import numpy as np
import pytest

from kerascnn.engine.metrics.learning_curve import HORIZON, fit_curve

SIZES = np.geomspace(24, 240, 8)


def error(images, level=0.14, power=-0.3, bend=0.05, switch=100):
    """A piecewise power law of the error, which is `level` with the greatest number of images."""
    place, at = np.log(np.asarray(images) / SIZES[-1]), np.log(switch / SIZES[-1])
    return level * np.exp(power * place + bend * np.minimum(place - at, 0) ** 2)


def drawn(rng, errors, images=300, repeats=4):
    """Whether each image is predicted wrongly [R, N, M]: some are harder for every head."""
    from scipy.stats import norm

    hard, own = rng.normal(size=images), rng.normal(size=(repeats, images, len(errors)))
    return np.sqrt(0.8) * hard[:, None] + np.sqrt(0.2) * own < norm.ppf(errors)


@pytest.mark.long  # forty datasets are drawn: fewer would not tell 90% from 75%
def test_an_accuracy_four_times_as_far_is_within_nine_of_ten_intervals():
    rng, inside, widths = np.random.default_rng(0), 0, []
    for _ in range(40):
        wished = fit_curve(SIZES, drawn(rng, error(SIZES))).accuracy(4 * SIZES[-1])
        inside += wished.low <= 1 - error(4 * SIZES[-1]) <= wished.high
        widths.append(wished.high - wished.low)
    assert inside >= 36
    assert np.mean(widths) < 0.09  # 300 images alone make it 0.06


def test_the_images_needed_are_those_of_the_law():
    rng = np.random.default_rng(1)
    curve = fit_curve(SIZES, drawn(rng, error(SIZES), images=20_000))
    needed = curve.needed(1 - error(500))
    assert needed.low <= 500 <= needed.high
    assert needed.images == pytest.approx(500, rel=0.15)
    assert needed.probability > 0.95


def test_what_was_measured_already_needs_no_more():
    curve = fit_curve(SIZES, drawn(np.random.default_rng(2), error(SIZES), images=20_000))
    assert curve.needed(1 - error(100)).images == pytest.approx(100, rel=0.1)
    assert curve.needed(0.1).images == np.ceil(SIZES[0])


def test_no_number_is_given_beyond_the_horizon():
    curve = fit_curve(SIZES, drawn(np.random.default_rng(3), error(SIZES)))
    never = curve.needed(0.999)
    assert never.images is never.low is never.high is None
    assert never.probability < 0.01
    far = curve.needed(curve.accuracy(curve.horizon).value - 0.005)
    assert far.low
    assert far.low < far.images <= np.ceil(HORIZON * SIZES[-1])
    assert far.high is None


def test_more_images_never_do_harm():
    flat = drawn(np.random.default_rng(4), np.full(8, 0.2))
    rising = fit_curve(SIZES, flat).accuracies(np.geomspace(240, 1200, 20))
    assert (np.diff(rising, axis=1) >= 0).all()


def test_a_class_without_any_error_is_not_certain():
    curve = fit_curve(SIZES, np.zeros((1, 30, 8)))
    now = curve.accuracy(240)
    assert 0.9 < now.low < now.value <= now.high <= 1
