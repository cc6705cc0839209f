"""OpenVINO as an optional package."""

import sys

import pytest

from kerascnn.errors import InputError
from kerascnn.runtime import openvino


def test_where_it_is_missing_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(openvino, "openvino_version", lambda: None)
    with pytest.raises(InputError, match=r"not installed: `.* install 'kerascnn\[openvino\]'`"):
        openvino.require_openvino()


def test_it_is_imported_without_its_telemetry(monkeypatch):
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)  # not installed: its import fails
    with pytest.raises(ImportError):
        openvino.load_openvino()
    assert "openvino_telemetry" not in sys.modules
