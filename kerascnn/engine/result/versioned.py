"""Results as JSON files of any version: what this version does not know is ignored, and said."""

import json
import warnings
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from kerascnn.errors import InputError


def read_json(file: Path) -> dict[str, Any]:
    """The contents of `result.json`, or of another such file, with their version and folder.

    Raises:
        InputError: It is not a JSON object.
    """
    try:
        found = {"version": 0, **json.loads(file.read_text("utf-8"))}
    except (ValueError, TypeError) as error:
        raise InputError(f"cannot read {file}: it is not a JSON object ({error}).") from error
    return {**found, "artifacts": str(file.parent)}


def known_fields(
    kind: Any, found: dict[str, Any], origin: str, name: str, version: int
) -> dict[str, Any]:
    """The fields of a dataclass, out of a file of any version.

    Args:
        origin: Where it was read.
        name: Of such files.
        version: That which is written now.

    Raises:
        InputError: It lacks a key that every version has.
    """
    known = {key.name: key for key in fields(kind)}
    needed = [key for key, of in known.items() if not _has_default(of)]
    if missing := [key for key in needed if key not in found]:
        raise InputError(f"cannot read {origin}: it has no {', '.join(missing)}.")
    if found["version"] > version or found.keys() - known.keys():
        warnings.warn(_not_known(name, found, known, version), stacklevel=4)
    return {key: value for key, value in found.items() if key in known}


def _has_default(key: Field[Any]) -> bool:
    return key.default is not MISSING or key.default_factory is not MISSING


def _not_known(name: str, found: dict[str, Any], known: dict[str, Any], version: int) -> str:
    """Without the run's name, so that Python shows it once for many runs of one version."""
    writer = found.get("versions", {}).get("kerascnn", "another version")
    unknown = ", ".join(sorted(found.keys() - known.keys())) or "none"
    return (
        f"{name} was written by kerascnn {writer} in format {found['version']}; this version "
        f"reads format {version} and ignores other keys: {unknown}."
    )
