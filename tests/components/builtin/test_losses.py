"""The built-in losses: the formula of each, from soft labels and probabilities."""

import numpy as np
import pytest

from kerascnn.components.builtin.losses import kerascnn_losses
from kerascnn.testing.losses import COUNTS, losses_of, sample

COMPONENTS = {component.name: component for component in kerascnn_losses()}
LABELS, PROBABILITIES = sample()
CROSS_ENTROPY = -(LABELS * np.log(PROBABILITIES)).sum(1)


def build(name, **params):
    component = COMPONENTS[name]
    return component.build(component.params(**params), num_classes=len(COUNTS), class_counts=COUNTS)


def focal(gamma):
    return -(LABELS * (1 - PROBABILITIES) ** gamma * np.log(PROBABILITIES)).sum(1)


def logit_adjustment(tau):
    adjusted = PROBABILITIES * (np.array(COUNTS) / sum(COUNTS)) ** tau
    return -(LABELS * np.log(adjusted / adjusted.sum(1, keepdims=True))).sum(1)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("cross_entropy", {}, CROSS_ENTROPY),
        ("focal", {}, focal(2)),
        ("focal", {"gamma": 0.5}, focal(0.5)),
        ("focal", {"gamma": 0}, CROSS_ENTROPY),
        ("logit_adjustment", {}, logit_adjustment(1)),
        ("logit_adjustment", {"tau": 0.5}, logit_adjustment(0.5)),
        ("logit_adjustment", {"tau": 0}, CROSS_ENTROPY),
    ],
)
def test_each_loss_is_its_formula(name, params, expected):
    losses = losses_of(build(name, **params), LABELS, PROBABILITIES)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
