"""Near copies are found before images are packed, and each content is decoded once."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageOps

from kerascnn import near_copies
from kerascnn.engine.data.splits import near
from kerascnn.runtime.cache import entries


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


COPIES = {
    "mirrored": lambda image: encoded(ImageOps.mirror(image), quality=90),
    "half the size": lambda image: encoded(image.reduce(2)),
    "saved again": lambda image: encoded(image, quality=50),
}


def found(files, label=lambda number: "a"):
    """The pairs that are found, as indices of the files."""
    contents = [hashlib.sha256(file).hexdigest() for file in files]
    images = [(content, label(number)) for number, content in enumerate(contents)]
    pairs = near_copies([(file, 0) for file in files], images)
    return {frozenset(map(contents.index, pair)) for pair in pairs}


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def photos(photo):
    return [encoded(photo(number), quality=95) for number in range(12)]


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_found(photo, photos, how):
    assert found([*photos, COPIES[how](photo(7))]) == {frozenset({7, 12})}


def test_a_copy_under_another_label_is_not(photo, photos):
    assert not found([*photos, COPIES["mirrored"](photo(7))], label=lambda number: number // 12)


def test_flat_and_unreadable_images_are_copies_of_nothing(photos):
    plain = [encoded(Image.new("RGB", (64, 64), (grey, grey, grey))) for grey in range(0, 250, 25)]
    broken = [photos[0][:-2000], b"", b"no image"]
    assert not found([*photos, *plain, *broken])


def test_nothing_is_compared_where_there_is_nothing():
    assert not found([])
    assert not found([b"no image"])


def test_only_new_images_are_decoded(own_cache, photo, photos, monkeypatch):
    asked, real = [], near.prepare_rows

    def counted(source, rows, **how):
        asked.extend(rows)
        return real(source, rows, **how)

    monkeypatch.setattr(near, "prepare_rows", counted)
    copies = [COPIES["mirrored"](photo(number)) for number in range(2)]
    first = found([*photos, copies[0]])
    assert sorted(asked) == list(range(13))
    asked.clear()
    assert found([*photos, copies[0]]) == first == {frozenset({0, 12})}
    assert not asked
    assert found([*photos, *copies]) == {frozenset({0, 12}), frozenset({1, 13})}
    assert asked == [13]


def test_what_a_killed_process_did_not_finish_is_written_anew(own_cache, photo, photos, tmp_path):
    files = [*photos, COPIES["mirrored"](photo(7))]
    found(files[:5])
    keys, hashes = (
        next((tmp_path / "cache" / "hashes").glob(f"*/{name}.bin")) for name in ("keys", "hash")
    )
    whole = keys.read_bytes()
    keys.write_bytes(whole[:-10])
    for _ in range(2):
        assert found(files) == {frozenset({7, 12})}
    assert keys.stat().st_size == len(whole) * len(files) // 5
    assert hashes.stat().st_size == 64 * len(files)


def test_several_at_once_lose_nothing(own_cache, photo, photos, monkeypatch):
    files = [*photos, COPIES["mirrored"](photo(7))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(found, [files[start::4] for start in range(4)]))
    monkeypatch.setattr(near, "prepare_rows", None)  # all are known
    assert found(files) == {frozenset({7, 12})}
    assert [entry.kind for entry in entries()] == ["hashes"]
