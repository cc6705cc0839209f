"""The devices of a stage."""

from types import SimpleNamespace

import pytest

from kerascnn import InputError
from kerascnn.engine.training.devices.devices import require_equal_parts


@pytest.mark.parametrize(
    ("batch_size", "images", "devices", "said"),
    [
        (32, 1000, 1, None),
        (30, 7, 1, None),
        (32, 1000, 4, None),
        (30, 1000, 4, 'stage "head": batch_size = 30 does not divide among 4 devices'),
        (32, 30, 4, 'stage "head": its one batch, all images = 30 does not divide'),
    ],
)
def test_a_batch_that_does_not_divide_is_refused(batch_size, images, devices, said):
    stage = SimpleNamespace(name="head")
    plan = SimpleNamespace(batch_size=batch_size, images=images, stage=stage)
    if said is None:
        require_equal_parts(plan, devices)
    else:
        with pytest.raises(InputError, match=f"{said}.*use a multiple of {devices}"):
            require_equal_parts(plan, devices)
