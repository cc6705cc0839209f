"""Values and keys as TOML; whole documents are written by `tomli_w`."""

import json
import re
from typing import Any

EXCERPT = 60  # characters


def as_toml(value: Any) -> str:
    """A value on one line, as a TOML file would have it."""
    if isinstance(value, dict):
        pairs = [f"{as_key(key)} = {as_toml(entry)}" for key, entry in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=not value.isprintable())
    return str(value).lower() if isinstance(value, bool) else str(value)


def excerpt(value: Any) -> str:
    """A value as TOML, cut to one short line: for messages."""
    text = as_toml(value)
    return text if len(text) <= EXCERPT else f"{text[: EXCERPT - 3]}…"


def as_key(key: str) -> str:
    """A key, in quotes where TOML demands them."""
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else as_toml(key)
