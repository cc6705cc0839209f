"""What the model card in a folder of weights states."""

import re
from pathlib import Path


def stated_licence(folder: Path) -> str:
    """The licence that a folder's README.md states in its YAML header, as model hubs ask for.

    Args:
        folder: A folder, which may not exist.

    Returns:
        Such as "apache-2.0"; "" if nothing is stated.
    """
    card = folder / "README.md"
    text = card.read_text("utf-8", "replace") if card.is_file() else ""
    header = text.split("\n---", 1)[0] if text.startswith("---") else ""
    found = re.search(r"^license: *[\"']?([^\s\"']+)", header, re.MULTILINE)
    return found[1] if found else ""
