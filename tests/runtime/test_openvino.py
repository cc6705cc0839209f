"""OpenVINO as an optional package."""

import subprocess
import sys

import pytest

from kerascnn.errors import InputError
from kerascnn.runtime import openvino

INTERRUPTED = """
import os, signal, threading
from kerascnn.runtime.openvino import load_openvino, openvino_core

ov = load_openvino()
image = ov.opset13.parameter([1, 3], ov.Type.f32)
model = ov.Model([ov.opset13.relu(image)], [image])
held = [openvino_core().compile_model(model, "CPU").create_infer_request()]
released = threading.Thread(target=held.clear)
released.start()
released.join()
signal.signal(signal.SIGINT, lambda *_: print("interrupted"))
os.kill(os.getpid(), signal.SIGINT)
"""


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


@pytest.mark.skipif(not openvino.openvino_version(), reason="OpenVINO is not installed")
def test_a_process_whose_last_model_was_freed_in_a_thread_survives_ctrl_c():
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr
