"""Figures that draw any text literally, with installed fonts that have its characters."""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

from matplotlib import figure
from matplotlib.axis import Axis
from matplotlib.font_manager import FontProperties, findSystemFonts, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter

from kerascnn.runtime.image_files import own_metadata
from kerascnn.runtime.text import code, is_control

BASE = "DejaVu Sans"  # comes with matplotlib
PREFERRED = ("Noto Sans CJK SC", "Noto Sans", "PingFang", "Hiragino", "Microsoft YaHei", "Segoe")
LAST_RESORT = "Last Resort"  # matplotlib's font of labelled boxes for everything
SHOWN = 20  # characters listed in a message


class Figure(figure.Figure):
    """A matplotlib figure for text from users: class names, paths, names of runs.

    matplotlib reads text between dollar signs as mathematics, and draws boxes for characters that
    its default font lacks. Here text is literal, and the installed fonts are searched for missing
    characters. Those that no font has are drawn as codes, such as `\\u4e2d`.

    Attributes:
        browser: True if a browser will draw the text, with its own fonts.
        missing: After drawing, the characters that no installed font has.
    """

    browser = False
    missing = ""

    def draw(self, renderer: Any) -> None:
        with _quiet():
            self._make_literal()
            super().draw(renderer)

    def _make_literal(self) -> None:
        labels = {
            axis: [label.get_text() for label in axis.get_ticklabels()]
            for axis in self.findobj(Axis)
        }
        texts = self.findobj(Text)
        characters = frozenset("".join(text.get_text() for text in texts))
        controls = frozenset(filter(is_control, characters)) - {"\n"}
        families, lacking = _fonts(characters - controls)
        if not self.browser:
            self.missing = self.missing or "".join(sorted(lacking))
        _write_codes(texts, labels, controls if self.browser else controls | lacking)
        for text in self.findobj(Text):
            text.set(parse_math=False, usetex=False, fontfamily=[BASE, *families])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the warnings of matplotlib about fonts."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            yield
    finally:
        logger.setLevel(level)


def _write_codes(
    texts: Iterable[Text], labels: dict[Axis, list[str]], characters: frozenset[str]
) -> None:
    if not characters:
        return
    codes = {ord(character): code(character) for character in characters}
    for text in texts:
        text.set_text(text.get_text().translate(codes))
    for axis, names in labels.items():
        if characters & set("".join(names)):
            axis.set_ticklabels([name.translate(codes) for name in names])


def _fonts(characters: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """The font families needed besides the base, and the characters that none has."""
    lacking = _lacked_by(BASE, characters - {"\n"})
    families = []
    for family in _families() if lacking else ():
        left = _lacked_by(family, lacking)
        if left != lacking:
            families.append(family)
        lacking = left
        if not lacking:
            break
    return families, lacking


def lacking(text: str) -> str:
    """The characters that no installed font has."""
    return "".join(sorted(_fonts(frozenset(text))[1]))


def _lacked_by(family: str, characters: frozenset[str]) -> frozenset[str]:
    font = get_font(fontManager.findfont(FontProperties(family=family)))
    return frozenset(one for one in characters if not font.get_char_index(ord(one)))


@cache
def _families() -> list[str]:
    """The installed families, those best suited to a figure first."""
    known = {Path(entry.fname) for entry in fontManager.ttflist}
    for file in findSystemFonts():  # matplotlib's list of fonts may be outdated
        if Path(file) not in known:
            with suppress(Exception):  # not a font that matplotlib reads
                fontManager.addfont(file)
    names = {entry.name for entry in fontManager.ttflist} - {BASE}
    return sorted((name for name in names if not name.startswith(LAST_RESORT)), key=_preference)


def _preference(family: str) -> tuple[int, bool, str]:
    ranks = (rank for rank, name in enumerate(PREFERRED) if family.startswith(name))
    return next(ranks, len(PREFERRED)), "Sans" not in family, family


def log_scale(axes: Any, which: Literal["x", "y"]) -> None:
    """Makes an axis logarithmic, with labels in plain text, such as 1e-03 and 100."""
    axes.set(**{f"{which}scale": "log"})
    axis = getattr(axes, f"{which}axis")
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter(labelOnlyBase=False))


def save(drawn: Figure, file: Path, warned: Callable[[str], None], **how: Any) -> None:
    """Writes a figure to a .png, .svg or .pdf file.

    Args:
        drawn: The figure.
        file: The file.
        warned: Receives a note if no installed font has some of the characters.
        how: Further arguments of matplotlib's `savefig`.
    """
    drawn.savefig(file, metadata=own_metadata(file), **how)
    if drawn.missing:
        warned(
            f'no installed font has "{drawn.missing[:SHOWN]}": {file.name} shows codes such as '
            f"{code(drawn.missing[0])} instead. Install a font with these characters, such as Noto "
            "Sans CJK for Chinese, Japanese and Korean."
        )
