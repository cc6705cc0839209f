"""The device that the backend computes on."""

import re

import keras
import pytest

from kerascnn.runtime.devices import device_name
from kerascnn.runtime.versions import installed_versions


@pytest.mark.backend
def test_device_and_versions_are_told():
    assert re.fullmatch(r"CPU, (1 core|\d+ cores)|GPU .+", device_name())
    assert {"python", "keras", "numpy", keras.config.backend()} <= set(installed_versions())
