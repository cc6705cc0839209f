"""The device that the backend computes on."""

import re

import keras
import pytest

from kerascnn import InputError
from kerascnn.runtime import devices
from kerascnn.runtime.devices import device_name, devices_name, used_devices
from kerascnn.runtime.versions import installed_versions


@pytest.mark.backend
def test_device_and_versions_are_told():
    assert re.fullmatch(r"CPU, (1 core|\d+ cores)|GPU .+", device_name())
    assert {"python", "keras", "numpy", keras.config.backend()} <= set(installed_versions())


@pytest.mark.backend
def test_as_many_devices_are_used_as_asked_for(monkeypatch):
    assert used_devices(1) == 1
    assert devices.device_count() >= 1
    monkeypatch.setattr(devices, "device_count", lambda: 4)
    assert [used_devices(asked) for asked in (2, 4, "all")] == [2, 4, 4]
    with pytest.raises(InputError, match=r"devices = 5, but .* finds 4 devices here"):
        used_devices(5)


def test_several_devices_are_named():
    assert devices_name(1) == device_name()
    assert devices_name(4) == f"4 devices: {device_name()}"
