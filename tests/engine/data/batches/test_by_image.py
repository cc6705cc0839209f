"""Views image by image: what is drawn follows from view seed, number and image alone."""

import numpy as np
import pytest
from digests import digests_of
from keras import ops

from kerascnn import Augmentation, HostAugmentation, PluginError
from kerascnn.engine.data.batches.augment import augmenter

SIZE, ROOM = 8, 3
IMAGES = np.random.default_rng(0).integers(0, 256, (5, SIZE + ROOM, SIZE + ROOM, 3), np.uint8)
LABELS = np.eye(5, dtype="float32")
DIGESTS = digests_of(IMAGES)


def brighter(arrays="gain"):
    def draw(rng, batch_size):
        return {arrays: rng.uniform(0.5, 1, (batch_size, 1, 1, 1))}

    return draw, lambda batch, drawn: {**batch, "images": batch["images"] * drawn[arrays]}


def view(policy, rows=slice(None), number=0, view_seed=0, seed=(0, 0)):
    augment = augmenter(policy, seed, SIZE, "the suspect", view_seed)
    return augment.view(IMAGES[rows], DIGESTS[rows], LABELS[rows], number)


POLICIES = {
    "device": Augmentation(*brighter()),
    "host": HostAugmentation(lambda image, rng: image // rng.integers(1, 200, dtype=np.uint8)),
}


@pytest.mark.backend
@pytest.mark.parametrize("name", POLICIES)
def test_a_view_of_an_image_is_the_same_in_any_batch_and_stage(name):
    policy = POLICIES[name]
    whole = view(policy)
    assert whole.shape == (5, SIZE, SIZE, 3)
    np.testing.assert_array_equal(view(policy, [3, 1], seed=(7, 2)), whole[[3, 1]])
    for other in (view(policy, number=1), view(policy, view_seed=1)):
        assert (other != whole).any(axis=(1, 2, 3)).all()


def test_the_window_is_a_part_of_the_image_and_drawn_for_each():
    unchanged = Augmentation(lambda rng, count: {}, lambda batch, arrays: batch)
    places = set()
    for image, found in zip(IMAGES, view(unchanged), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, (SIZE, SIZE), axis=(0, 1))
        same = (np.moveaxis(windows, 2, -1) == found).all(axis=(2, 3, 4))
        [place] = np.argwhere(same)
        places.add(tuple(place))
    assert len(places) > 1


def with_previous(batch, arrays):
    return {**batch, "images": (batch["images"] + ops.roll(batch["images"], 1, axis=0)) / 2}


def with_partner(batch, arrays):
    return {**batch, "images": ops.take(batch["images"], arrays["partner"], axis=0)}


def by_the_first_draw(batch, arrays):
    return {**batch, "images": batch["images"] * arrays["gain"][:1]}


def by_label(batch, arrays):
    return {**batch, "images": batch["images"] * batch["labels"][:, :1, None, None]}


def labels_mixed(batch, arrays):
    return {**batch, "labels": ops.roll(batch["labels"], 1, axis=0)}


def draw(rng, batch_size):
    return {"gain": rng.random((batch_size, 1, 1, 1)), "partner": rng.permutation(batch_size)}


@pytest.mark.parametrize(
    "apply", [with_previous, with_partner, by_the_first_draw, by_label, labels_mixed]
)
def test_what_depends_on_more_than_the_image_is_refused(apply):
    with pytest.raises(PluginError, match=r"^the suspect: apply must treat each image by itself"):
        view(Augmentation(draw, apply))
