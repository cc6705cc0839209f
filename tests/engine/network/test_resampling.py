"""Resizing by a matrix gives what Pillow gives."""

import numpy as np
import pytest
from PIL import Image

from kerascnn.engine.network.resampling import resampling


@pytest.mark.parametrize(("before", "after"), [(96, 64), (64, 96), (97, 31), (40, 40)])
def test_it_resizes_as_pillow_does(photo, before, after):
    image = photo(1).resize((before, before))
    given = np.asarray(image.resize((after, after), Image.Resampling.BICUBIC), float)
    matrix = resampling(before, after)
    made = np.einsum("oh,hwc,pw->opc", matrix, np.asarray(image, float), matrix)
    assert np.abs(made.clip(0, 255) - given).max() <= 2  # Pillow rounds twice
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
