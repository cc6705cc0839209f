"""The order of blocks: a permutation that stays within a window, whatever reads it."""

import numpy as np
import pytest
from sharding import samples, write_tar

from kerascnn.components.builtin.tar_shards import TAR_SHARDS
from kerascnn.engine.data.batches.blocks import Blocks, blocks_of
from kerascnn.engine.data.batches.feed import Feed, shuffled
from kerascnn.engine.data.sources.source import Chained, Subset
from kerascnn.errors import SourceError
from kerascnn.experiment.training import Training

BLOCKS = Blocks(np.array([100, 30, 0, 250, 120]), window=50)
TRAINING = Training(shuffle="blocks", shuffle_window=7)


class Split(list):
    """A split of a source, as far as its order needs it."""

    @property
    def source(self):
        return self[0]

    def __len__(self):
        return len(self[0])


def lengths(source, training):
    return blocks_of(Split([source]), training).lengths.tolist()


def test_every_example_comes_once_and_every_epoch_in_another_order():
    orders = [shuffled(500, (0, 0), epoch, BLOCKS) for epoch in (1, 2, 1)]
    for order in orders:
        assert sorted(order) == [*range(500)]
    assert (orders[0] == orders[2]).all()
    assert (orders[0] != orders[1]).any()


def test_blocks_are_read_one_after_another_within_the_window():
    order = shuffled(500, (3, 1), 1, BLOCKS)
    of_block = np.repeat(np.arange(5), BLOCKS.lengths)[order]
    for number, length in enumerate(BLOCKS.lengths):
        if length:
            at = np.flatnonzero(of_block == number)
            assert at.max() - at.min() < length + 2 * BLOCKS.window
    firsts = {shuffled(500, (seed, 0), 1, Blocks(BLOCKS.lengths, 1))[0] for seed in range(40)}
    assert firsts == {0, 100, 130, 380}  # blocks in any order


def test_neighbours_are_mixed():
    order = shuffled(500, (0, 0), 1, BLOCKS)
    assert 150 < (np.diff(order) > 0).sum() < 350


def test_an_epoch_goes_on_at_any_step():
    inputs = [np.arange(500)[:, None]]
    targets = [np.eye(2, dtype=np.float32)[np.arange(500) % 2]]
    feed = Feed(inputs, targets, 32, (0, 0), blocks=BLOCKS)
    whole = [np.asarray(batch[0])[:, 0] for batch in feed.epoch(2)]
    rest = [np.asarray(batch[0])[:, 0] for batch in feed.epoch(2, first=9)]
    assert np.array_equal(np.concatenate(whole[9:]), np.concatenate(rest))


def test_the_files_of_shards_are_the_blocks_of_any_part_of_them(tmp_path):
    for number in range(3):
        write_tar(tmp_path / f"{number}.tar", samples(10, first=10 * number))
    write_tar(tmp_path / "test.tar", samples(4, first=90))
    params = TAR_SHARDS.params(path=tmp_path / "[0-2].tar", test=tmp_path / "test.tar")
    splits = TAR_SHARDS.build(params, seed=0)
    drawn = lengths(splits.train, TRAINING)
    assert len(drawn) == 3
    assert sum(drawn) == len(splits.train)
    assert lengths(Subset(splits.train, range(5)), TRAINING) == [5]
    both = Chained([splits.train, splits.test])
    assert lengths(both, TRAINING) == [*drawn, 4]


def test_without_files_blocks_are_equal_parts_and_files_must_add_up():
    class Wrong(list):
        files = (3, 4)

    assert lengths([0] * 1200, TRAINING) == [512, 512, 176]
    assert blocks_of(None, Training()) is None
    with pytest.raises(SourceError, match=r"source.files add up to 7; the source has 9 images"):
        lengths(Wrong([0] * 9), TRAINING)
