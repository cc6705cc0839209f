"""The temperature that makes probabilities fit how often they are right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerascnn.engine.metrics.calibration import AS_TRAINED, TEMPERATURES, fit_temperature, tempered
from kerascnn.engine.metrics.score import judge


def drawn(count=4000, temperature=1.0, seed=0):
    """Probabilities, and labels that come true as often as they say, before the temperature."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, (count, 4))
    true = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    labels = (rng.random((count, 1)) > true.cumsum(1)).sum(1)
    return tempered(true, temperature), labels


@pytest.mark.parametrize("temperature", [0.4, 2.5])
def test_the_temperature_that_spoilt_the_probabilities_is_found(temperature):
    spoilt, labels = drawn(temperature=temperature)
    fitted = fit_temperature(spoilt, labels)
    assert fitted == pytest.approx(1 / temperature, rel=0.08)
    true, _ = drawn()
    np.testing.assert_allclose(tempered(spoilt, fitted), true, atol=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_the_temperature_lowers_the_loss_or_changes_nothing(seed):
    some, labels = drawn(30, temperature=0.5, seed=seed)
    fitted = fit_temperature(some, labels)
    before, after = (judge(tempered(some, t), labels).loss for t in (AS_TRAINED, fitted))
    assert after < before or fitted == AS_TRAINED


def test_a_few_images_that_are_all_recognised_do_not_make_the_network_certain():
    probabilities, labels = np.array([[0.8, 0.2]] * 8), np.zeros(8, int)
    fitted = fit_temperature(probabilities, labels)
    assert 0.85 < tempered(probabilities, fitted)[0, 0] < 0.95
    sure = np.array([[0.99, 0.01]] * 8)
    assert fit_temperature(sure, labels) == AS_TRAINED


@given(
    scores=st.lists(st.floats(-15, 15, width=32), min_size=2, max_size=20),
    temperature=st.floats(*TEMPERATURES),
)
def test_no_temperature_changes_the_prediction(scores, temperature):
    raised = np.exp(np.array([scores], np.float64))
    probabilities = (raised / raised.sum()).astype(np.float32)
    calibrated = tempered(probabilities, temperature)
    assert calibrated.sum() == pytest.approx(1)
    assert probabilities[0, calibrated[0].argmax()] == probabilities.max()
