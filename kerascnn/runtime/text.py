"""Text for people: names of files and classes made safe to show, numbers, lists, plurals."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice

SHOWN = 5  # lines of a note
LISTED = 10  # things in a line


def is_control(character: str) -> bool:
    """Whether it is a control character or half of a surrogate pair: neither can be shown."""
    return unicodedata.category(character) in ("Cc", "Cs")


def code(character: str) -> str:
    r"""A character in ASCII, such as `\u4e2d`."""
    return character.encode("unicode_escape").decode()


def visible(text: str) -> str:
    r"""The text with control characters as their codes, such as `\x07`."""
    return "".join(code(one) if is_control(one) else one for one in text)


def markdown(text: str) -> str:
    """Markdown that shows the text as it is, by MLflow's renderer as well.

    That one shows the backslash before other punctuation, such as a comma.
    """
    entities = visible(text).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_{}\[\]()>#+.!~|-])", r"\\\1", entities)


def nfc(text: str) -> str:
    """The text in Unicode form NFC, in which names that look the same are equal."""
    return unicodedata.normalize("NFC", text)


def counted(count: int, noun: str = "image") -> str:
    """A number and a noun that agrees with it: "1 image", "2,000 images", "3 classes"."""
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Such as images, classes, studies."""
    noun = re.sub("(?<![aeiou])y$", "ie", noun)
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def abbreviated(things: Sequence[object], limit: int = LISTED) -> str:
    """The first things in a line, and how many more there are."""
    more = f" and {len(things) - limit:,} more" if len(things) > limit else ""
    return ", ".join(map(str, things[:limit])) + more


def itemized(
    headline: str, lines: Iterable[str], count: int, limit: int = SHOWN, *, noun: str = "image"
) -> str:
    """A headline with the number of items, the first lines, and the number of the others."""
    more = [f"and {count - limit:,} more"] if count > limit else []
    return "\n  ".join([f"{headline.format(counted(count, noun))}:", *islice(lines, limit), *more])


def shape(sizes: tuple[int, ...]) -> str:
    """224×224×64."""
    return "×".join(map(str, sizes))


def quantity(count: int) -> str:
    """Three digits and a unit: 86.7 M."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:{'.3g' if count < 1000 * size else ',.0f'}} {unit}"
    return str(count)
