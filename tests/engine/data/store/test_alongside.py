"""An image that is decoded for anything is packed in all preparations that are asked for."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from kerascnn import near_copies
from kerascnn.engine.data.decoding import images
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.alongside import packed_alongside
from kerascnn.engine.data.store.pack import pack

SMALL, LARGE = Preparation(8), Preparation(12)
SIDES = ((20, 20), (33, 40), (97, 100), (400, 300), (9, 500))


def jpeg(width, height):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def source():
    return [(jpeg(*sides), 0) for sides in SIDES]


@pytest.fixture
def decoded(monkeypatch):
    """The sizes to which images are decoded."""
    sizes, real = [], images._upright

    def noted(image, *others):
        sizes.append(image.size)
        return real(image, *others)

    monkeypatch.setattr(images, "_upright", noted)
    return sizes


def search(source):
    return near_copies(source, [(hashlib.sha256(one).hexdigest(), "a") for one, _ in source])


def check(packed, source):
    preparation = Preparation(packed.images.shape[1])
    alone = [preparation.prepare(image) for image, _ in source]
    np.testing.assert_array_equal(packed.images[:], alone)


def test_images_searched_for_near_copies_are_packed_then(source, decoded):
    with packed_alongside(SMALL):
        search(source)
        decoded.clear()
        packed = pack(source, SMALL)
        assert (packed.made, decoded) == (len(source), [])
        assert pack(source[:2], SMALL).made == 0  # they are counted once
    check(packed, source)
    assert pack(source, SMALL).made == 0


def test_an_image_packed_at_two_sizes_is_decoded_once_where_both_allow_it(source, decoded):
    with packed_alongside(SMALL, LARGE):
        small = pack(source, SMALL)
        sizes = decoded.copy()
        large = pack(source, LARGE)
    assert sizes == decoded
    assert [small.made, large.made] == [len(source)] * 2
    # the decoder may reduce (33, 40) to half for 8 pixels, but not for 12
    assert sorted(decoded) == [(9, 500), (17, 20), (20, 20), (25, 25), (33, 40), (50, 38)]
    for packed in (small, large):
        check(packed, source)


def test_without_being_asked_for_nothing_is_packed(source, decoded):
    search(source)
    assert pack(source, SMALL).made == len(source)
    assert len(decoded) == 2 * len(source)


def test_what_would_be_streamed_is_not_packed(source):
    with packed_alongside(SMALL, stream_above=1):
        search(source)
        packed = pack(source, SMALL, stream_above=1)
        assert packed.streamed
    check(packed, source)
    assert pack(source, SMALL).made == len(source)


def test_arrays_under_a_fingerprint_are_drawn_once(source):
    drawn = []

    class Drawn(list):
        fingerprint = "own"

        def __getitem__(self, row):
            drawn.append(row)
            return super().__getitem__(row)

    arrays = Drawn((images.read_image(image), label) for image, label in source)
    with packed_alongside(SMALL, LARGE):
        small, large = pack(arrays, SMALL), pack(arrays, LARGE)
    check(small, list.__iter__(arrays))
    check(large, list.__iter__(arrays))
    assert sorted(drawn)[1:] == list(range(len(source)))  # the first tells how long it takes
