"""Renders templates, figures and images into one self-contained HTML page."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO, StringIO
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from kerascnn.engine.result.tables import StageTable
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.text import plural

BLUE, ORANGE, GREEN, RED = "#3f83cf", "#dd7c2f", "#3f9c6c", "#d1495b"  # on white and on black
QUALITY = 72  # of WebP, 0 to 100


def render(template: str, **values: Any) -> str:
    """Renders a template; an undefined name is an error.

    Args:
        template: A file in `templates/`, such as "report.html".
        values: Its variables; text is escaped unless it is Markup.
    """
    page = _environment().get_template(template).render(**values)
    return page.encode("utf-8", "backslashreplace").decode()  # file names may not be UTF-8


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kerascnn.results"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (gigabytes, percent, plural, saved, seconds, share)
    environment.filters |= {function.__name__: function for function in filters}
    return environment


def share(value: float) -> str:
    """Such as 0.960."""
    return f"{value:z.3f}"


def percent(value: float) -> str:
    """Such as 96.0%."""
    return f"{100 * value:.1f}%"


def seconds(value: float) -> str:
    """Such as 0.4 s, 58 s, 2 min 05 s or 3 h 07 min."""
    if value < 60:
        return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def saved(stage: StageTable) -> str:
    """The time that a stage saves because an earlier run has trained it: 5.5 s saved."""
    return f"{seconds(max(0.0, stage['trained_seconds'] - stage['seconds']))} saved"


@contextmanager
def style() -> Iterator[None]:
    """The style of figures on a page: black on a transparent background; see `svg`."""
    import matplotlib
    from cycler import cycler

    looks = {
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, RED]),
        "grid.color": "black",
        "grid.alpha": 0.14,
        "grid.linewidth": 0.6,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "lines.linewidth": 1.6,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
    }
    with matplotlib.rc_context(looks):
        yield


def svg(figure: Any, label: str) -> Markup:
    """A matplotlib figure as inline SVG; black becomes the text colour of the page.

    About 3.7 inches fit the width of a phone, 9 inches that of a desktop.

    Args:
        figure: Its other colours should be legible on white and on black.
        label: A description for screen readers.
    """
    import matplotlib

    written, figure.browser = StringIO(), True
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kerascnn"}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index(">", text.index("<svg")) + 1 :]
    text = re.sub("<(metadata|style).*?</\\1>", "", text, flags=re.DOTALL)
    text = re.sub("<[^>]*>", _changed, text)  # never the text between the tags
    width, height = (72 * inches for inches in figure.get_size_inches())
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'role="img" aria-label="{}" viewBox="0 0 {:g} {:g}" fill="currentColor" '
        'style="width: {:.0f}px">'
    )
    return head.format(label, width, height, width * 96 / 72) + Markup(text)


def _changed(tag: re.Match[str]) -> str:
    changed = tag[0]
    for pattern, by in _SVG_CHANGES.items():
        changed = re.sub(pattern, by, changed)
    return changed


_SVG_CHANGES = {
    "#000000": "currentColor",
    r" font-family: [^;\"]*;?": "",  # the page's own font
    r' id="(?!C\d)[\w.]+_\d+"': "",  # must be unique on the page
    r"(\d\.\d\d)\d+": r"\1",
}


@dataclass(frozen=True)
class Thumbnail:
    """An image with the lines of its caption.

    Args:
        source: Its address, see `data_uri`.
        alt: A description for screen readers.
    """

    source: str
    alt: str
    lines: tuple[str, ...] = ()


def data_uri(pixels: np.ndarray, side: int | None = None) -> Markup:
    """An image as WebP in a data: URI.

    Args:
        pixels: uint8 [H, W, 3], [H, W, 4] or [H, W].
        side: Maximum of the longer side in pixels; default unlimited.
    """
    image, written = Image.fromarray(pixels), BytesIO()
    if side:
        image.thumbnail((side, side))
    image.save(written, "WEBP", quality=QUALITY, method=4)
    return Markup("data:image/webp;base64," + base64.b64encode(written.getvalue()).decode())
