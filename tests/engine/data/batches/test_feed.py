"""`Feed`: which examples come, in which order, and what its thread does."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from kerascnn.engine.data.batches.feed import Feed


def make(examples=10, views=1, classes=3, **options):
    """Examples whose inputs are their index plus 100 for each view."""
    index = np.arange(examples) + 100 * np.arange(views)[:, None]  # [V, N]
    targets = np.eye(classes, dtype=np.float32)[index % classes]
    options = {"batch_size": 4, "seed": (0, 0)} | options
    return Feed(index[..., None].astype(np.int32), targets, **options)


def numpy_batches(feed, epoch=1):
    for batch in feed.epoch(epoch):
        yield tuple(ops.convert_to_numpy(tensor) for tensor in batch)


def order(feed, epoch):
    return np.concatenate([inputs[:, 0] for inputs, _, _ in numpy_batches(feed, epoch)])


@pytest.mark.parametrize(("examples", "batch_size"), [(10, 4), (8, 4), (9, 4), (3, 4), (1, 1)])
def test_every_example_comes_in_every_epoch_and_every_batch_is_full(examples, batch_size):
    feed = make(examples, batch_size=batch_size)
    for epoch in (1, 2):
        batches = list(numpy_batches(feed, epoch))
        assert len(batches) == feed.steps
        width = min(batch_size, examples)
        assert {len(array) for batch in batches for array in batch} == {width}
        assert {*np.concatenate([inputs[:, 0] for inputs, _, _ in batches])} == {*range(examples)}


def test_inputs_and_targets_belong_together():
    for inputs, targets, weights in numpy_batches(make()):
        assert inputs.dtype == targets.dtype == weights.dtype == np.float32
        np.testing.assert_array_equal(targets.argmax(1), inputs[:, 0] % 3)
        np.testing.assert_array_equal(weights, 1)


def test_the_order_follows_from_seed_stage_and_epoch():
    first = order(make(100), 1)
    np.testing.assert_array_equal(order(make(100), 1), first)
    np.testing.assert_array_equal(order(make(100), 1), first)  # whatever was drawn before
    for feed, epoch in [(make(100), 2), (make(100, seed=(1, 0)), 1), (make(100, seed=(0, 1)), 1)]:
        assert (order(feed, epoch) != first).any()


def test_the_parts_of_a_batch_are_cut_off_after_it_is_mixed():
    def mixed(inputs, targets, epoch, step):
        return inputs + inputs[::-1], targets

    whole = make(12, augment=mixed)
    parts = [make(12, augment=mixed, part=(number, 2)) for number in range(2)]
    for batch, *of_parts in zip(*map(numpy_batches, (whole, *parts)), strict=True):
        for array, *cut in zip(batch, *of_parts, strict=True):
            assert [len(part) for part in cut] == [2, 2]
            np.testing.assert_array_equal(np.concatenate(cut), array)


def test_of_a_batch_that_nothing_augments_only_the_part_is_read():
    class Noted(np.ndarray):
        def __getitem__(self, rows):
            read.extend(rows)
            return np.asarray(super().__getitem__(rows))

    whole, read = make(12), []
    parts = [make(12, part=(number, 2)) for number in range(2)]
    noted = [replace(part, inputs=[part.inputs[0].view(Noted)]) for part in parts]
    for batch, *of_parts in zip(*map(numpy_batches, (whole, *noted)), strict=True):
        for array, *cut in zip(batch, *of_parts, strict=True):
            np.testing.assert_array_equal(np.concatenate(cut), array)
    assert sorted(read) == [*range(12)]


def test_batches_are_not_in_the_order_of_the_source():
    """MixUp mixes neighbours in a batch: in a source sorted by class they would be of one class."""
    for inputs, _, _ in numpy_batches(make(400, batch_size=50)):
        assert 10 < (np.diff(inputs[:, 0]) > 0).sum() < 40


def test_epochs_use_the_views_in_turn():
    feed = make(5, views=2)
    assert [set(order(feed, epoch) // 100) for epoch in (1, 2, 3)] == [{0}, {1}, {0}]


def test_class_weights_weigh_by_target():
    weights = np.array([1, 10, 100], np.float32)
    for inputs, _, weighed in numpy_batches(make(class_weights=weights)):
        np.testing.assert_array_equal(weighed, weights[inputs[:, 0].astype(int) % 3])


def test_class_weights_of_mixed_targets_are_mixed_too():
    def mix(inputs, targets, epoch, step):
        return inputs, np.full_like(targets, 1 / 3)

    feed = make(augment=mix, class_weights=np.array([0, 3, 6], np.float32))
    for _, _, weights in feed.epoch(1):
        np.testing.assert_allclose(weights, 3, rtol=1e-6)


def test_augment_is_told_epoch_and_step():
    heard = []

    def augment(inputs, targets, epoch, step):
        heard.append((epoch, step))
        return inputs + 0.5, targets

    values = order(make(augment=augment), 3)
    assert (values % 1 == 0.5).all()
    assert heard == [(3, 0), (3, 1), (3, 2)]


def test_a_fault_in_augment_arrives_where_the_batches_are_used():
    def augment(inputs, targets, epoch, step):
        if step == 1:
            raise ValueError("no such colour")
        return inputs, targets

    batches = make(augment=augment).epoch(1)
    next(batches)
    with pytest.raises(ValueError, match="no such colour"):
        next(batches)
    assert workers() == []


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "kerascnn-batches"]


def test_the_thread_ends_when_nobody_wants_more():
    batches = make(1000).epoch(1)
    next(batches)
    assert len(workers()) == 1
    batches.close()
    assert workers() == []


def test_batches_are_prepared_while_others_are_used():
    prepared = []

    def augment(inputs, targets, epoch, step):
        prepared.append(step)
        return inputs, targets

    batches = make(100, augment=augment).epoch(1)
    next(batches)
    deadline = time.monotonic() + 5
    while len(prepared) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 3 <= len(prepared) <= 5  # ahead, and not without bound
    batches.close()
