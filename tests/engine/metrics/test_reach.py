"""What a number of images can show."""

import pytest

from kerascnn.engine.metrics.reach import coarse, few, reach, smallest_difference
from kerascnn.engine.metrics.significance import images_needed


@pytest.mark.parametrize(("images", "scarce"), [(12, True), (60, True), (100, False), (225, False)])
def test_few_images_show_only_large_differences(images, scarce):
    least = smallest_difference(images)
    assert images_needed(least, 0, 0.05) <= images < images_needed(least - 1 / images, 0, 0.05)
    assert coarse(images) is scarce is bool(few(images))
    assert f"differences of {least:.2f} or more" in reach(images)


def test_almost_none_show_nothing():
    assert smallest_difference(5) is None
    assert coarse(5)
    assert reach(5) == "no difference in accuracy"
