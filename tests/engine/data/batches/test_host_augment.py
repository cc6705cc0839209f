"""Augmentations of the host: keyed by their place in a run, the same in this process and others."""

import os
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from kerascnn import Augmentation, HostAugmentation, InputError, PluginError
from kerascnn.engine.data.batches import host_augment
from kerascnn.engine.data.batches.augment import augmenter
from kerascnn.engine.data.batches.feed import Feed
from kerascnn.errors import RunError

SIZE = 8
NAMED = 'augmentation "shift" of kerascnn-shift 1.0'
IMAGES = np.random.default_rng(0).integers(0, 256, (9, SIZE, SIZE, 3), np.uint8)
LABELS = np.eye(9, dtype="float32")


shifted = lambda image, rng: image + rng.integers(1, 256, dtype=np.uint8)  # noqa: E731
# a lambda is sent by value: other processes need not import this file, and Keras with it


def make(apply=shifted, seed=(0, 0), size=SIZE):
    return augmenter(HostAugmentation(apply), seed, size, NAMED).afresh


def shifts(augment, epoch=1, step=0):
    images, labels = augment(IMAGES, LABELS, epoch, step)
    np.testing.assert_array_equal(labels, LABELS)
    return (images - IMAGES)[:, 0, 0, 0]


@pytest.fixture
def at_once(monkeypatch):
    """Other processes take over from the first batch on, as if there were two cores."""
    monkeypatch.setattr(host_augment, "WORTH_PROCESSES_SECONDS", -1)
    monkeypatch.setattr(host_augment, "available_cores", lambda: 2)


def test_an_image_gets_what_follows_from_seed_stage_epoch_step_and_place():
    first = shifts(make())
    for place, shift in enumerate(first, 1):
        rng = np.random.default_rng([0, 0, 1, 1, place])
        assert shift == rng.integers(1, 256, dtype=np.uint8)
    np.testing.assert_array_equal(shifts(make()), first)
    for seed, epoch, step in [((1, 0), 1, 0), ((0, 1), 1, 0), ((0, 0), 2, 0), ((0, 0), 1, 1)]:
        assert (shifts(make(seed=seed), epoch, step) != first).sum() > 5


@pytest.mark.backend
def test_a_window_is_that_of_other_augmentations_and_comes_first():
    sizes = []

    def seen(image, rng):
        sizes.append(image.shape)
        return image

    other = augmenter(Augmentation(lambda rng, size: {}, lambda batch, _: batch), (0, 0), 6).afresh
    expected, _ = other(IMAGES, LABELS, 2, 3)
    images, _ = make(seen, size=6)(IMAGES, LABELS, 2, 3)
    np.testing.assert_array_equal(images, ops.convert_to_numpy(expected))
    assert {*sizes} == {(6, 6, 3)}


@pytest.mark.backend
def test_an_epoch_is_fed_the_same_on_every_backend_and_from_every_step():
    feed = Feed([IMAGES], [LABELS], 4, (0, 0), make())
    batches = [[ops.convert_to_numpy(part) for part in batch] for batch in feed.epoch(2)]
    for images, labels, _ in batches:
        assert images.dtype == labels.dtype == np.float32
    order = np.resize(np.random.default_rng([0, 0, 2]).permutation(9), (3, 4))
    for step, rows in enumerate(order):
        expected = make()(IMAGES[rows], LABELS[rows], 2, step)[0]
        np.testing.assert_array_equal(batches[step][0], expected)
    for (images, *_), (expected, *_) in zip(feed.epoch(2, first=1), batches[1:], strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(images), expected)


def test_other_processes_give_the_same_images(at_once):
    augment, main = make(), os.getpid()
    for images in (IMAGES, IMAGES[:3], np.tile(IMAGES, (3, 1, 1, 1))):  # smaller and larger batches
        here = host_augment.Host(HostAugmentation(shifted), NAMED)(
            images, host_augment.generators_of((0, 0, 1, 1), len(images))
        )
        np.testing.assert_array_equal(augment(images, None, 1, 0)[0], here)
    elsewhere = make(lambda image, rng: image + np.uint8(os.getpid() != main))
    assert {*shifts(elsewhere)} == {1}


@pytest.mark.long  # starts the worker processes anew
def test_a_process_that_ends_ends_the_run_with_a_message_and_the_next_run_works(at_once):
    def dies(image, rng):
        os._exit(9)

    with pytest.raises(RunError, match="a process that augments images ended: out of memory, or"):
        make(dies)(IMAGES, LABELS, 1, 0)
    assert len(shifts(make())) == 9


@pytest.mark.parametrize(("cores", "seconds"), [(1, -1), (2, 3.0)])
def test_one_core_and_little_work_start_no_process(monkeypatch, cores, seconds):
    monkeypatch.setattr(host_augment, "available_cores", lambda: cores)
    monkeypatch.setattr(host_augment, "WORTH_PROCESSES_SECONDS", seconds)
    monkeypatch.setattr(host_augment, "_Processes", lambda *_: pytest.fail("started processes"))
    augment = make()
    for step in range(3):
        shifts(augment, step=step)


def divides(image, rng):
    return 1 // 0


@dataclass(frozen=True)
class Divides:
    by: int

    def __call__(self, image, rng):
        return divides(image, rng) * self.by


RAISED = rf"raised ZeroDivisionError: .* line {divides.__code__.co_firstlineno + 1}\)"
WRONG = {
    "crops": (lambda image, rng: image[1:], "must return uint8 8×8×3, .* not uint8 7×8×3"),
    "floats": (lambda image, rng: image / 255, "must return uint8 8×8×3, .* not float64 8×8×3"),
    "nothing": (lambda image, rng: None, "not NoneType"),
    "raises": (
        lambda image, rng: image[9],
        "raised IndexError: index 9 is out of bounds for axis 0 with size 8",
    ),
    "raises in a function": (partial(divides), RAISED),
    "raises in an object": (Divides(2), RAISED),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_fault_of_apply_names_component_package_file_and_line(name):
    apply, message = WRONG[name]
    with pytest.raises(PluginError, match=f"^{NAMED}: .*{message}") as caught:
        make(apply)(IMAGES, LABELS, 1, 0)
    assert f"({Path(__file__).name}, line " in str(caught.value)


@pytest.mark.parametrize("name", ["floats", "raises"])
def test_a_fault_in_another_process_has_the_same_message(name, at_once):
    apply, message = WRONG[name]
    with pytest.raises(PluginError, match=f"^{NAMED}: .*{message}") as caught:
        make(apply)(IMAGES, LABELS, 1, 0)
    assert f"({Path(__file__).name}, line " in str(caught.value)


def test_advice_for_the_user_arrives_as_it_is():
    def missing(image, rng):
        raise InputError("install it")

    with pytest.raises(InputError, match=r"^install it$"):
        make(missing)(IMAGES, LABELS, 1, 0)


def test_what_cannot_be_sent_is_refused_before_the_first_batch():
    lock = threading.Lock()

    def locked(image, rng):
        with lock:
            return image

    with pytest.raises(PluginError, match="cannot be sent to another process: TypeError") as caught:
        make(locked)
    assert f"({Path(__file__).name}, line " in str(caught.value)
    assert "create it on first use inside apply" in str(caught.value)


class Unreadable:
    """Can be sent, but not received."""

    def __reduce__(self):
        return eval, ("1 / 0",)

    def __call__(self, image, rng):
        return image


def test_what_cannot_be_received_is_named(at_once):
    with pytest.raises(PluginError, match="cannot be sent to another process: ZeroDivisionError"):
        make(Unreadable())(IMAGES, LABELS, 1, 0)
