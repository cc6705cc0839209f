"""Short names for the keys and values of a sweep."""

import pytest
from swept import swept

from kerascnn.studies.sweep.report import labels


@pytest.mark.parametrize(
    ("keys", "short"),
    [
        (["stages.head.learning_rate"], ["learning_rate"]),
        (
            ["stages.head.learning_rate", "stages.rest.learning_rate"],
            ["head.learning_rate", "rest.learning_rate"],
        ),
        (
            ["stages.0.learning_rate", "stages.1.learning_rate"],
            ["stages.0.learning_rate", "stages.1.learning_rate"],
        ),
        (["architecture.name", "architecture.dropout"], ["architecture", "dropout"]),
        (["stages.head.optimizer.name", "seed"], ["optimizer", "seed"]),
        (["a.b", "b"], ["a.b", "b"]),
    ],
)
def test_keys_are_as_short_as_they_can_be_told_apart(keys, short):
    assert list(labels.short_keys(keys).values()) == short


def test_what_was_tried_is_said_by_its_scale(tmp_path):
    tried = labels.searched(swept(tmp_path, keys=8))
    assert tried["stages.head.learning_rate"] == "0.0001 to 0.01, logarithmic"
    assert tried["architecture.dropout"] == "0 to 0.5 in steps of 0.1"
    assert tried["training.ema"] == "true, false"
    assert tried["training.batch_size"] == "8 to 64"
