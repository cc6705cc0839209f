"""The probe by blocks: one pass, stored by image, and the end of the network is its features."""

import json

import pytest
from click.testing import CliRunner

from kerascnn.cli import cli
from kerascnn.engine.observer import Observer
from kerascnn.studies.probe.behind import Behind
from kerascnn.studies.probe.blocks import probe_blocks
from kerascnn.studies.probe.blocks_result import BlocksResult, ProbedBlock, blocks_figure
from kerascnn.studies.probe.probe import probe_architectures


@pytest.fixture(scope="module")
def probed(experiment):
    return probe_blocks(experiment, Observer())


def test_every_block_is_judged_on_all_images(probed):
    assert [block.unfreeze for block in probed.blocks] == ["last:2", "last:1", "head"]
    assert [block.features for block in probed.blocks] == [8, 16, 32]
    assert probed.images == 24 + 16
    for block in probed.blocks:
        low, high = block.interval
        assert 0 <= low <= block.accuracy <= high <= 1
    assert max(probed.blocks, key=lambda block: block.accuracy).accuracy == probed.best.accuracy
    with open(f"{probed.artifacts}/blocks.json") as file:
        assert json.load(file) == json.loads(json.dumps(probed.to_json()))
    with open(f"{probed.artifacts}/blocks.png", "rb") as file:
        assert file.read(4) == b"\x89PNG"


@pytest.mark.long  # probes the network three times
def test_the_last_block_is_the_ordinary_probe_and_nothing_is_computed_twice(
    experiment, probed, monkeypatch
):
    monkeypatch.setattr("kerascnn.studies.probe.network.TIMED_SECONDS", 0)
    assert probed.stored == 0
    again = probe_blocks(experiment, Observer())
    assert again.stored == again.images
    assert again.blocks == probed.blocks
    first = probe_architectures(experiment, "sequential_cnn", Observer()).networks[0]
    assert (first.accuracy, first.features) == (probed.blocks[-1].accuracy, 32)
    assert first.loss == pytest.approx(probed.blocks[-1].loss, abs=1e-4)
    second = probe_architectures(experiment, "sequential_cnn", Observer()).networks[0]
    assert (first.stored, second.stored) == (0, 40)


def block(name, accuracy, behind):
    return ProbedBlock(name, "last:1", "layer", 8, accuracy, (accuracy, accuracy), 0.5, behind)


def result(*blocks):
    return BlocksResult("a" * 32, "shapes", "CPU", "tiny", 40, 0, list(blocks), 1.0, "folder")


def behind(told_apart):
    return Behind(0.1, (0.0, 0.2), 0.5, told_apart)


def test_enough_is_the_first_block_that_the_test_cannot_tell_from_the_best():
    probed = result(
        block("first", 0.5, behind(True)),
        block("second", 0.8, behind(False)),
        block("third", 0.7, behind(True)),
        block("last", 0.9, None),
    )
    assert (probed.best.block, probed.enough.block) == ("last", "second")
    assert {"best": "last", "enough": "second"}.items() <= probed.to_json().items()
    assert "enough is second, which cannot be distinguished from last" in repr(probed)
    assert "<svg" in probed._repr_html_()
    (axes,) = blocks_figure(probed).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == [
        "first",
        "second",
        "third",
        "last",
    ]
    assert list(axes.lines[-1].get_xdata()) == [1.5, 1.5]


@pytest.mark.parametrize(
    "words",
    [[], ["--blocks", "--architectures", "vgg16"], ["--blocks", "--promote", "2"]],
)
def test_the_command_takes_architectures_or_blocks(words, shapes_file):
    ended = CliRunner().invoke(cli, ["probe", str(shapes_file), *words])
    assert ended.exit_code == 2
    assert "--architectures" in ended.stderr
