"""Values and keys as TOML writes them."""

import json
import re
from typing import Any


def as_toml(value: Any) -> str:
    """A value as TOML, shortened to 60 characters."""
    if isinstance(value, dict):
        text = ", ".join(f"{as_key(key)} = {as_toml(entry)}" for key, entry in value.items())
        text = "{" + text + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(as_toml(entry) for entry in value) + "]"
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=not value.isprintable())
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def as_key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else as_toml(key)
