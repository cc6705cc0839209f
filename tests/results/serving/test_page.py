"""The page that serve shows to browsers: what it answers to any file, and to whom."""

import base64
import hashlib
import json
import re
import socket
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from served import ask, serving

from kerascnn.errors import InputError
from kerascnn.results.serving import look as looking
from kerascnn.results.serving.page import content_policy
from kerascnn.results.serving.serve import make_app

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8))


def encoded(image=PHOTO, kind="PNG", **how):
    image.save(written := BytesIO(), kind, **how)
    return written.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height):
    """The start of a PNG of that size, black."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


def look(port, image):
    status, answer, _ = ask(port, "POST", "/look", image)
    return status, json.loads(answer)


def test_the_page_loads_nothing_from_elsewhere(port):
    status, page, headers = ask(port, "GET", "/")
    assert status == 200
    assert not re.findall(r"""(?:src|href|url\(|@import)\s*=?\s*["'(]?\s*(?:https?:)?//""", page)
    assert headers["content-security-policy"] == content_policy(page)
    assert "default-src 'none'" in content_policy(page)
    assert "unsafe" not in content_policy(page)
    assert headers["x-content-type-options"] == "nosniff"
    assert '<option value="a &lt;b&gt;">' in page


def test_no_other_page_of_the_server_loads_scripts(port):
    assert {ask(port, "GET", path)[0] for path in ("/docs", "/redoc")} == {404}


def test_an_image_is_classified_explained_and_compared(port, place):
    status, said = look(port, encoded(kind="JPEG"))
    assert status == 200
    assert sum(guess["probability"] for guess in said["top"]) == pytest.approx(1)
    assert said["label"] == said["top"][0]["label"]
    for uri in (said["image"], said["heat"]):
        pixels = Image.open(BytesIO(base64.b64decode(uri.partition(",")[2])))
        assert pixels.size == (16, 16)
    assert said["note"] == ""
    shown = {one["name"]: bool(one["image"]) for one in said["similar"]}
    assert shown == {str(place / f"{n}.png"): True for n in range(3)} | {
        str(place / "gone.png"): False
    }
    assert said["missing"] == (
        "1 image cannot be shown: moved, changed or removed since the run, such as "
        f"{place / 'gone.png'}."
    )


def test_an_image_that_the_run_knows_is_said_to_be_known(port, place):
    _, said = look(port, (place / "1.png").read_bytes())
    assert "trained or validated on this very image" in said["note"]


TURNED = Image.Exif()
TURNED[274] = 6
NUMBERS = np.random.default_rng(0)
JPEG = encoded(kind="JPEG")
GOOD = {
    "animated.gif": encoded(kind="GIF", save_all=True, append_images=[PHOTO] * 3),
    "cmyk.jpg": encoded(PHOTO.convert("CMYK"), "JPEG"),
    "sixteen.png": encoded(Image.fromarray(NUMBERS.integers(0, 65535, (9, 9), np.uint16))),
    "turned.jpg": encoded(kind="JPEG", exif=TURNED.tobytes()),
    "one.png": encoded(PHOTO.resize((1, 1))),
    "line.png": encoded(PHOTO.resize((1, 2000))),
    "clear.png": encoded(PHOTO.convert("RGBA")),
    "palette.png": encoded(PHOTO.convert("P")),
    "bits.png": encoded(PHOTO.convert("1")),
    **{f"image.{kind}": encoded(kind=kind) for kind in ("TIFF", "WEBP", "BMP", "AVIF", "PPM")},
}
OTHER = "its format is not supported"
BAD = {
    "empty": (b"", "it is empty"),
    "byte": (b"\0", OTHER),
    "text.jpg": (b"holiday notes", OTHER),
    "cut.jpg": (JPEG[:-200], "truncated"),
    "head.jpg": (JPEG[:30], "Truncated"),
    "cut.png": (encoded()[:60], "truncated"),
    "cut.gif": (encoded(kind="GIF")[:40], OTHER),
    "cut.webp": (encoded(kind="WEBP")[:60], "decoder"),
    "cut.tif": (encoded(kind="TIFF")[:60], OTHER),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>", "SVG"),
    "declared.svg": (b"<?xml version='1.0'?>\n<svg/>", "it is an SVG drawing"),
    "page.html": (b"<!DOCTYPE html>", "it is a web page"),
    "paper.pdf": (b"%PDF-1.7\n", "it is a PDF document"),
    "photos.zip": (b"PK\3\4" + bytes(50), "it is a ZIP archive"),
    "figure.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "it is PostScript"),
    "bomb.png": (png_of(20_000, 20_000), "more than 89,478,485 pixels"),
    "large.png": (png_of(10_000, 9_000), "10,000 x 9,000 pixels"),
    "nothing.png": (png_of(0, 9), OTHER),
    "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(90), "."),
    "film.mp4": (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(90), OTHER),
    "program.exe": (b"MZ" + bytes(300), OTHER),
    "float.tif": (encoded(Image.fromarray(NUMBERS.random((9, 9), np.float32)), "TIFF"), "floating"),
    **{f"noise {number}": (NUMBERS.bytes(2000), OTHER) for number in range(30)},
    **{f"cut {size}.jpg": (JPEG[:size], "cannot be read") for size in range(3, 600, 17)},
}


@pytest.mark.backend  # of a classifier and Grad-CAM, which share variables, called by threads
def test_a_hundred_files_of_every_kind_get_an_answer_each_at_the_same_time(port):
    assert len(GOOD) + len(BAD) >= 100
    with ThreadPoolExecutor(8) as threads:
        good = dict(zip(GOOD, threads.map(lambda of: look(port, of), GOOD.values()), strict=True))
        bad = dict(zip(BAD, threads.map(lambda of: look(port, of[0]), BAD.values()), strict=True))
    assert {name: status for name, (status, _) in good.items()} == dict.fromkeys(GOOD, 200)
    for name, (status, said) in bad.items():
        assert (name, status) == (name, 400)
        assert said["error"].startswith("This file cannot be read: ")
        assert BAD[name][1] in said["error"]
    assert ask(port, "GET", "/health")[0] == 200


def test_clients_that_hang_up_do_no_harm(port):
    head = f"POST /look HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(JPEG)}\r\n\r\n".encode()
    for sent in (head, head + JPEG[:100], head + JPEG):
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(sent)
    assert look(port, JPEG)[0] == 200


def test_a_correction_is_saved_and_offered_from_then_on(port, place):
    for label in ("tulip", "violet & co"):
        status, answer, _ = ask(port, "POST", f"/corrections?label={quote(label)}", JPEG)
        said = json.loads(answer)
        assert (status, said["label"]) == (200, label)
    saved = place / "corrections" / "violet & co" / f"{hashlib.sha256(JPEG).hexdigest()[:32]}.jpg"
    assert said["saved"] == str(saved)
    assert saved.read_bytes() == JPEG
    assert '<option value="violet &amp; co">' in ask(port, "GET", "/")[1]


@pytest.mark.parametrize("label", ["..", "..%2F..%2Fup", "a%2Fb", "%00", "%FF%FF..", "", "%5C"])
def test_no_label_leads_out_of_the_folder(port, place, label):
    before = sorted(place.rglob("*"))
    status, answer, _ = ask(port, "POST", f"/corrections?label={label}", encoded(PHOTO.rotate(90)))
    if status == 200:
        assert json.loads(answer)["saved"].startswith(str(place / "corrections"))
    else:
        assert (status, sorted(place.rglob("*"))) == (400, before)
        assert "cannot be the name of a folder" in json.loads(answer)["error"]


def test_what_is_no_image_is_not_saved(port, place):
    before = sorted(place.rglob("*"))
    status, answer, _ = ask(port, "POST", "/corrections?label=tulip", b"#!/bin/sh")
    assert (status, sorted(place.rglob("*"))) == (400, before)
    assert "cannot be read" in json.loads(answer)["error"]


@pytest.mark.parametrize("path", ["/look", "/corrections?label=tulip", "/invocations"])
@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        (None, None, 200),
        (None, "http://127.0.0.1:{}", 200),
        ("localhost:{}", "http://localhost:{}", 200),
        (None, "http://localhost:{}", 403),
        (None, "http://127.0.0.1:1", 403),
        (None, "https://127.0.0.1:{}", 403),
        (None, "https://evil.example", 403),
        (None, "null", 403),
        ("evil.example:{}", "http://evil.example:{}", 400),
    ],
)
def test_only_the_page_itself_may_post(port, path, host, origin, status):
    headers = {"host": host, "origin": origin}
    given = {name: value.format(port) for name, value in headers.items() if value}
    asked, answer, _ = ask(port, "POST", path, JPEG, **given)
    assert asked == status
    if status == 403:
        assert json.loads(answer)["error"].startswith("refused: a web page elsewhere sent this")


def test_a_network_without_maps_and_a_run_without_features_say_so(result, place, monkeypatch):
    def none(*_, **__):
        raise InputError("no maps")

    monkeypatch.setattr(looking, "GradCam", none)
    (place / "features.npy").rename(place / "elsewhere.npy")
    try:
        with serving(make_app(result, 5, "auto", place / "corrections")) as port:
            status, said = look(port, JPEG)
    finally:
        (place / "elsewhere.npy").rename(place / "features.npy")
    assert (status, said["heat"], said["similar"]) == (200, "", [])
    assert "keeps no features of its training images" in said["missing"]
