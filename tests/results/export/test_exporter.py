"""What an exporter writes and predicts is held to the contract, and errors name its package."""

from pathlib import Path

import numpy as np
import pytest

from kerascnn import Component, Exporter, NoParams, PluginError, RunError
from kerascnn.components.component import BoundComponent, RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.results.export.exporter import BuiltExporter

IMAGES = np.zeros((2, 4, 4, 3), np.float32)
EXPECTED = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)


def built(**fields):
    exporter = Exporter(**{"write": None, "predict": lambda path, images: EXPECTED, **fields})
    registered = RegisteredComponent(
        Component("thing", lambda params: exporter), "exporter", Origin("x", "of-x", "1.0")
    )
    return BuiltExporter(BoundComponent(registered, NoParams()), exporter)


def two_files(model, folder):
    (folder / "a").touch()
    (folder / "b").touch()
    return folder / "a"


def outside(model, folder):
    (folder / "a").touch()
    return folder.parent / "b"


def fails(*_):
    raise OSError("no space")


WRITES = {
    "text": (lambda model, folder: "a", "write must return a Path, not str"),
    "nothing written": (lambda model, folder: folder, "but wrote nothing into "),
    "a file of two": (two_files, "write returned a, but the folder holds a, b"),
    "another path": (outside, "write returned b, but the folder holds a"),
    "an error": (fails, "OSError: no space"),
}


@pytest.mark.parametrize(("write", "said"), WRITES.values(), ids=WRITES)
def test_what_is_written_is_what_is_returned(write, said, tmp_path):
    with pytest.raises(PluginError, match=r'^exporter "thing" of of-x 1\.0') as raised:
        built(write=write).write(None, tmp_path)
    assert said in str(raised.value)


def test_a_folder_of_several_files_may_be_returned(tmp_path):
    def write(model, folder):
        two_files(model, folder)
        return folder

    assert built(write=write).write(None, tmp_path) == tmp_path


PREDICTS = {
    "another shape": (lambda path, images: EXPECTED[0], PluginError, r"\[2, K\] .* not \[2\]"),
    "too few": (lambda path, images: EXPECTED[:1], PluginError, r"not \[1, 2\]"),
    "other classes": (lambda path, images: EXPECTED[:, :1], PluginError, "1 probabilities, not 2"),
    "not a number": (lambda path, images: EXPECTED * np.nan, RunError, "by up to nan on 2 images"),
    "other values": (lambda path, images: EXPECTED + 0.01, RunError, "1.0e-02 .* at most 1e-04"),
    "an error": (fails, PluginError, "OSError: no space"),
}


@pytest.mark.parametrize(("predict", "error", "said"), PREDICTS.values(), ids=PREDICTS)
def test_what_it_predicts_is_compared_with_keras(predict, error, said):
    with pytest.raises(error, match=said):
        built(predict=predict).compare(Path("model"), IMAGES, EXPECTED)


def test_a_format_of_lower_precision_has_a_tolerance_of_its_own():
    rough = built(predict=lambda path, images: EXPECTED + 0.01, tolerance=0.02)
    assert rough.compare(Path("model"), IMAGES, EXPECTED) == pytest.approx(0.01, abs=1e-6)


def test_its_runtime_is_a_package_with_its_version_where_that_is_known():
    assert built(runtime="numpy").runtime == f"numpy {np.__version__}"
    assert built(runtime="a runtime in C").runtime == "a runtime in C"
    assert built().runtime == "of-x 1.0"
