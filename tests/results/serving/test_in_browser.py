"""The page that serve shows, in a real browser: by mouse, keyboard, clipboard and form."""

import json
from base64 import b64encode
from io import BytesIO

import numpy as np
import pytest
from chromium import Chromium, browser
from PIL import Image

# A browser takes two seconds to start.
pytestmark = [browser, pytest.mark.browser, pytest.mark.long]

DROPPED = """
const filled = (names) => {
  const moved = new DataTransfer();
  const bytes = Uint8Array.from(atob(PNG), (one) => one.charCodeAt());
  for (const name of names) moved.items.add(new File([bytes], name, { type: "image/png" }));
  return moved;
};
"""
READY = "!document.querySelector('article .waiting') && document.querySelectorAll('article').length"
NAMELESS = """
[...document.querySelectorAll("input, select, button")].filter(
  (one) => !(one.labels?.length || one.textContent.trim())).length
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture
def opened(tab, port):
    """The page, freshly loaded as on a telephone; nothing is reported or asked for elsewhere."""
    tab.events.clear()
    tab.open(f"http://127.0.0.1:{port}/", width=390, scheme="dark")
    yield tab
    tab.evaluate("1")
    for event in tab.events:
        if event["method"] == "Network.requestWillBeSent":
            asked = event["params"]["request"]["url"]
            assert asked.startswith((f"http://127.0.0.1:{port}/", "data:"))
        assert event["method"] != "Runtime.exceptionThrown"
        if event["method"] == "Log.entryAdded":  # such as what the policy forbids
            assert "status of 400" in event["params"]["entry"]["text"]


def texts(tab, selector):
    return tab.evaluate(f"[...document.querySelectorAll('{selector}')].map((of) => of.textContent)")


def encoded(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), np.uint8)
    Image.fromarray(pixels).save(written := BytesIO(), "PNG")
    return written.getvalue()


def test_files_are_chosen_and_a_new_class_is_named(opened, place, tmp_path):
    (tmp_path / "notes.jpg").write_text("holiday notes")
    odd = tmp_path / "<img src=x onerror=alert(1)>.png"
    odd.write_bytes(encoded())
    opened.choose("#files", odd, tmp_path / "notes.jpg")
    assert opened.until(READY) == 2
    assert texts(opened, "article h2") == [odd.name, "notes.jpg"]
    assert texts(opened, "article .bad") == [
        "This file cannot be read: its format is not supported."
    ]
    assert texts(opened, "#status") == ["1 of 2 images classified."]
    assert texts(opened, "article .similar figcaption")
    assert opened.evaluate("[...document.images].every((of) => of.complete && of.naturalWidth)")
    assert opened.evaluate(NAMELESS) == 0
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    opened.evaluate("document.querySelector('summary').click()")
    opened.evaluate(
        "{ const select = document.querySelector('select');"
        "select.selectedIndex = select.length - 1;"
        "select.dispatchEvent(new Event('change')); }"
    )
    assert opened.evaluate("document.activeElement.matches('.new input')")
    opened("Input.insertText", text="violet")
    opened.press("Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    saved = opened.until("document.querySelector('.saved').textContent")
    [file] = (place / "corrections/violet").iterdir()
    assert saved == f"saved as {file}"
    assert file.read_bytes() == odd.read_bytes()
    assert opened.evaluate("document.activeElement.matches('summary')")
    assert "violet" in texts(opened, "article option")


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_files_are_dropped_and_pasted(opened, how):
    event = {
        "drop": "new DragEvent('drop', { dataTransfer: moved, bubbles: true })",
        "paste": "new ClipboardEvent('paste', { clipboardData: moved, bubbles: true })",
    }[how]
    names = ["one.png", "two.png", "three.png"]
    dropped = DROPPED.replace("PNG", json.dumps(b64encode(encoded()).decode()))
    moved = f"{dropped}; const moved = filled({json.dumps(names)});"
    opened.evaluate(f"{{ {moved} document.body.dispatchEvent({event}); }}")
    assert opened.until(READY) == 3
    assert texts(opened, "article h2") == names
    assert texts(opened, "#status") == ["3 of 3 images classified."]


def test_the_keyboard_reaches_what_the_mouse_does(opened, tmp_path):
    opened.press("Tab", code="Tab", windowsVirtualKeyCode=9)
    assert opened.evaluate("document.activeElement.id") == "files"
    (tmp_path / "image.png").write_bytes(encoded(seed=1))
    opened.choose("#files", tmp_path / "image.png")
    opened.until(READY)
    reached = []
    for _ in range(5):
        opened.press("Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(opened.evaluate("document.activeElement.tagName"))
    assert "SUMMARY" in reached
    ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(21, 23, 26)"  # dark
    assert texts(opened, "#status")[0].startswith("image.png: ")
