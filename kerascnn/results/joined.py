"""One network of the networks of several runs."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from kerascnn.engine.network.joined import Part, join
from kerascnn.engine.network.parts import build_once
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.results.find import find_run


def join_runs(
    members: Sequence[Mapping[str, Any]], image_size: int, num_classes: int, views: int = 1
) -> Any:
    """Makes one functional model of the networks of several runs.

    Args:
        members: For each the `run`, the `sha256` of its weights, `packed_size`, `temperature` and
            `weight`, as in `engine.network.joined.Part`.
        image_size: Pixels S of the whole.
        num_classes: Number of classes K.
        views: 1, 2 or 4, what the probabilities are averaged over.

    Returns:
        A model from float32 [B, S, S, 3] in 0-255 to probabilities float32 [B, K].

    Raises:
        InputError: A run is gone, its weights have changed, or it has other classes.
    """
    parts = [
        Part(
            _model(member, num_classes),
            packed_size=member["packed_size"],
            temperature=member["temperature"],
            weight=member["weight"],
        )
        for member in members
    ]
    return join(parts, image_size, views)


def _model(member: Mapping[str, Any], classes: int) -> Any:
    result = find_run(member["run"])
    named = f"run {result.run_id[:8]}, a member of the ensemble,"
    if weights_sha256(result) != member["sha256"]:
        raise InputError(f"{named} has other weights than the ensemble was made with.")
    if len(result.class_names) != classes:
        raise InputError(f"{named} has {len(result.class_names)} classes, not {classes}.")
    return trained_model(result, member["sha256"])


def trained_model(result: Result, sha256: str) -> Any:
    """A run's network, loaded once for all networks of a session that contain it."""
    return build_once(["trained", sha256], lambda: result.model)


def weights_sha256(result: Result) -> str:
    """SHA-256 of the file of a run's model, which is read again only once it has changed.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        state = result.model_file.stat()
        return _sha256(result.model_file, (state.st_ino, state.st_size, state.st_mtime_ns))
    except OSError as error:
        raise InputError(
            f"run {result.run_id[:8]} has no model: cannot read {result.model_file} "
            f"({error.strerror})."
        ) from error


@lru_cache(maxsize=64)
def _sha256(file: Path, state: tuple[int, ...]) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
