"""One word for one thing, and no phrase that reads as translated, wherever a person reads."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READ = {".py", ".md", ".html", ".toml", ".css"}
ROOMS = [
    *sorted(path for path in (ROOT / "kerascnn").iterdir() if path.suffix in {"", ".py"}),
    *(ROOT / name for name in ("plugins", "docs", "experiments", "benchmarks")),
    *(ROOT / name for name in ("README.md", "README.zh.md", "CONTRIBUTING.md")),
]

PICTURE = {"kerascnn/components/builtin/label_columns.py"}
"""Files that may say "picture": it is the name of a column in tables that others wrote."""

PHRASES = {
    r"pictures?": "image",
    r"told of": "receives, reported",
    r"so many": "a number, or a name for it",
    r"be had": "available",
    r"there is to": "say what it is",
    r"in the hands of": "in use by",
    r"(?<!there )is no (?!longer|more|other)\w+": "is not a",
    r"of one's own": "its own",
    r"hands? on (?!Python)": "passes on",
    r"nobody": "no one, or the passive",
    r"says nothing": "say what is missing",
    r"goes on": "resumes, continues",
    r"gone on": "resumed",
    r"looked for": "searched",
    r"stands(?! for)": "is",
    r"for (?:it|they|this|that) (?:is|are|has|have)": "because",
    r"as it would have": "exactly",
    r"may take": "allowed values",
    r"in the place of": "instead of",
    r"bears": "has, allows",
    r"to validate by": "validation images",
    r"of theirs": "their own",
    r"mend(?:s|ed)?": "fix",
    r"who (?:watches|hears)": "receives",
    r"what it is good for": "purpose",
}
"""What must not come back, and what to write instead."""


def files(room):
    """The files below a room that a person may read; not tests, nor what is generated."""
    found = [room] if room.is_file() else sorted(room.rglob("*"))
    hidden = {"tests", "__pycache__"}
    return [
        file
        for file in found
        if file.suffix in READ and not hidden & set(file.relative_to(ROOT).parts)
    ]


def prose(file):
    """A file's text on one line, with strings and comments that span several lines joined."""
    text = file.read_text("utf-8")
    if file.suffix == ".py":
        text = re.sub(r'"\s*\n\s*[fr]*"', "", text)
        text = re.sub(r"\n\s*#:? ?", " ", text)
    return " ".join(text.split())


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.relative_to(ROOT).as_posix())
def test_no_phrase_comes_back(room):
    found = [
        f'{name}: "…{text[max(0, match.start() - 40) : match.end() + 40]}…" → {better}'
        for file in files(room)
        for name, text in [(file.relative_to(ROOT).as_posix(), prose(file))]
        for phrase, better in PHRASES.items()
        if not (phrase == "pictures?" and name in PICTURE)
        for match in re.finditer(rf"(?i)\b{phrase}\b", text)
    ]
    assert not found, "\n".join(found)


def test_a_phrase_is_found_across_lines(tmp_path):
    file = tmp_path / "some.py"
    file.write_text('x = (\n    "the observer is "\n    f"told of it"\n)\n# for it\n# is late\n')
    assert re.search(r"\btold of\b", prose(file))
    assert re.search(r"\bfor it is\b", prose(file))
