"""Which networks `best` tries."""

import pytest

from kerascnn.errors import InputError
from kerascnn.studies.best.networks import networks_to_try


def test_a_name_that_is_no_architecture_is_named(registry):
    assert networks_to_try(["vgg16", "vgg16"], registry) == ("vgg16",)
    with pytest.raises(InputError, match=r'unknown architecture "vgg61"\. Did you mean "vgg16"'):
        networks_to_try(["vgg61"], registry)
