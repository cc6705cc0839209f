"""The user's cache folder, private to the user; KERASCNN_CACHE names another one."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder(*parts: str) -> Path:
    """A folder in the cache, made if it is not there."""
    root = Path(os.environ.get("KERASCNN_CACHE") or user_cache_path("kerascnn"))
    for folder in (root, root.joinpath(*parts)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
