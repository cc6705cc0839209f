"""HEIC, the format of iPhone photographs, which Pillow reads with an optional package."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from kerascnn.runtime.commands import pip_install

FORMAT = "HEIF"  # Pillow's name for it
PACKAGE = "pi-heif"

HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}  # ISO 23008-12
AVIF = {b"avif", b"avis"}


def brands(start: bytes) -> set[bytes]:
    """The brands in the first bytes of a file in the ISO base media format (ISO 14496-12)."""
    if start[4:8] != b"ftyp":
        return set()
    size = int.from_bytes(start[:4], "big")
    return {start[8:12]} | {start[at : at + 4] for at in range(16, min(size, len(start)), 4)}


def is_heic(start: bytes) -> bool:
    """Whether a file with these first bytes is HEIC, not AVIF, which uses the same container."""
    found = brands(start)
    return bool(found & HEIC) and not found & AVIF


def install_heic() -> str:
    """The command that installs the package that reads HEIC."""
    return pip_install("kerascnn[heic]")


def heic_version() -> str | None:
    """The version of the package that reads HEIC; None if it is not installed."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return None


@cache
def register_heic() -> None:
    """Registers HEIC with Pillow; its decoder applies and removes the orientation."""
    try:
        from pi_heif import register_heif_opener
    except ImportError as error:
        raise ValueError(f"it is HEIC, which needs a package: `{install_heic()}`") from error
    register_heif_opener(thumbnails=False)
