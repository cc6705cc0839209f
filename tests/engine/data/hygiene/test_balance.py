"""Too few images of a class: what is said about them, and the share that is tested by."""

import numpy as np
import pytest

from kerascnn.engine.data.hygiene.balance import share_to_test, shortages, uneven


@pytest.mark.parametrize(
    ("images", "share"), [(1, 0.2), (200, 0.2), (300, 0.2), (400, 0.15), (500, 0.1), (9000, 0.1)]
)
def test_few_images_are_tested_by_a_larger_share(images, share):
    assert share_to_test(images) == pytest.approx(share)


def notes(train, test, **options):
    counts = {"train": np.array(train), "validation": np.array(test), "test": np.array(test)}
    return list(
        shortages(
            counts, ("rose", "tulip"), ("head",), **{"weighted": False, "batch_size": 1} | options
        )
    )


def test_classes_are_uneven_from_twice_as_many_on():
    assert uneven(np.array([37, 10]))
    assert not uneven(np.array([19, 10]))
    assert not uneven(np.array([9, 0]))  # no weight helps a class without images


def test_weights_are_advised_only_where_no_stage_has_them():
    (note,) = notes([37, 10], [9, 9])
    assert note.startswith(
        "uneven classes: 37 training images of rose, 10 of tulip; to compensate, set class_weights"
    )
    assert note.endswith("(--set stages.head.class_weights=balanced)")
    assert notes([37, 10], [9, 9], weighted=True) == []


def test_a_class_with_few_test_images_is_named():
    (note,) = notes([10, 10], [20, 2])
    assert note == "few test images: 2 of tulip; the metrics of these classes are uncertain"
