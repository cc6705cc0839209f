"""Which images a run refuses, and how well it would notice a class that nobody showed."""

import json

import numpy as np
import pytest

from kerascnn.engine.metrics.novelty import MEASURES
from kerascnn.errors import InputError
from kerascnn.results.known import rejection
from kerascnn.results.known.images import KnownImages
from kerascnn.results.known.rejection import Rejection, leave_out, noticed, sampled


def around(centres, rng):
    drawn = centres + 0.25 * rng.normal(size=centres.shape)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16)


def known(classes=2, trained=40, held=30, seed=0, split="validation"):
    """Images of classes far apart: `trained` to train on and `held` held out of each."""
    rng, names = np.random.default_rng(seed), ["circle", "square", "star"][:classes]
    labels = np.concatenate([np.repeat(range(classes), count) for count in (trained, held)])
    return KnownImages(
        names=[str(row) for row in range(len(labels))],
        contents=rng.integers(0, 256, (len(labels), 32), np.uint8),
        labels=labels,
        splits=np.where(np.arange(len(labels)) < classes * trained, "train", split),
        features=around(np.eye(3, 12)[labels], rng),
        class_names=names,
    )


@pytest.fixture
def run(written_run):
    """A run that keeps features."""
    made = written_run("a" * 32, [True])
    known().write(made.folder)
    return made


def test_each_class_is_left_out_and_the_best_measure_is_the_run_s():
    found = leave_out(known(classes=3))
    assert [(of.name, of.images) for of in found.classes] == [
        ("circle", 30),
        ("square", 30),
        ("star", 30),
    ]
    means = {name: found.mean(name) for name in MEASURES}
    assert found.mean() == max(means.values()) > 0.95
    assert found.refused > 0.8
    assert found.classes[0].area.keys() == MEASURES.keys()


def test_a_class_with_few_validation_images_is_not_left_out():
    few = leave_out(known(held=4))
    assert (few.classes, few.mean(), few.refused) == ([], None, None)
    assert leave_out(known(held=10)).classes[0].refused is None  # of ten, 5% is none


def test_what_is_noticed_is_computed_once(run, monkeypatch):
    first = noticed(run)
    monkeypatch.setattr(rejection, "leave_out", None)
    assert noticed(run) == first
    assert json.loads((run.folder / "rejection.json").read_text())["measure"] == first.measure


def test_strange_images_are_refused_and_at_most_the_share_of_known_ones(run):
    rng, refusing = np.random.default_rng(5), Rejection(run, 0.1)
    strange = around(np.eye(3, 12)[np.full(50, 2)], rng)
    like_them = around(np.eye(3, 12)[rng.integers(0, 2, 400)], rng)
    assert (refusing.scores(strange) > refusing.threshold).mean() > 0.9
    assert (refusing.scores(like_them) > refusing.threshold).mean() < 0.2
    assert Rejection(run, 0.3).threshold < refusing.threshold


def test_a_share_that_too_few_images_can_tell_is_an_error(run):
    with pytest.raises(InputError, match=r"--reject 0\.01 needs at least 99 validation images.*60"):
        Rejection(run, 0.01)


def test_where_validation_images_trained_the_test_images_set_the_threshold(written_run):
    run = written_run("b" * 32, [True], training={"train_on": "train+validation", "keep": "last"})
    known(split="test").write(run.folder)
    assert 0 <= Rejection(run, 0.1).threshold < 1
    with pytest.raises(InputError, match=r"at least 99 test images.*has 60 test images"):
        Rejection(run, 0.01)
    known(held=0).write(run.folder)
    with pytest.raises(InputError, match=r"at least 19 test images.*0 test images"):
        Rejection(run)


def test_a_run_that_was_trained_on_all_images_says_how_to_get_one_that_was_not(written_run):
    run = written_run("c" * 32, [True], training={"train_on": "all", "keep": "last"})
    known(held=0).write(run.folder)
    again = r"run .*experiment.toml --set training.train_on=train\+validation`"
    with pytest.raises(InputError, match=f"trained on all its images .*{again}"):
        Rejection(run)


def test_of_many_training_images_some_are_drawn_and_all_others_stay(monkeypatch):
    monkeypatch.setattr(rejection, "SAMPLE", 30)
    some = sampled(known())
    assert (some.trained.sum(), (~some.trained).sum()) == (30, 60)
    assert len(some.names) == len(some.features) == 90
