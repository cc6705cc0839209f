"""Formats that Pillow reads only with help: HEIC, and PNG with bad metadata."""

import re
import zlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from kerascnn.runtime.commands import pip_install

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SEEN = (b"tRNS", b"eXIf")  # and critical chunks, whose names begin in upper case

# Texts in which Pillow looks for the orientation: ImageMagick's, and Adobe's XMP.
TURNED = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
PACKED = {  # what precedes compressed data: keyword, flag and method, language and translation
    b"zTXt": rb"[^\0]*\0\0",
    b"iTXt": rb"[^\0]*\0\x01\0[^\0]*\0[^\0]*\0",
}
LARGEST = 2**20  # bytes of such a text, compressed or not: Pillow's own limit

HEIF = "HEIF"  # Pillow's name for HEIC
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


def without_metadata(chunks: bytes) -> bytes:
    """A PNG file, from its chunks, with only those that affect its pixels, without colour profile.

    A large text is left out: a few kilobytes may unpack to gigabytes, and nothing is unpacked
    beyond `LARGEST`.
    """
    kept = (chunk for chunk in _split(chunks) if _is_seen(chunk[4:8], chunk[8:-4]))
    return b"".join([PNG_SIGNATURE, *kept])


def _split(chunks: bytes) -> Iterator[bytes]:
    """The chunks: length, kind, data and checksum; the last one may be truncated."""
    at = 0
    while at < len(chunks):
        end = at + 12 + int.from_bytes(chunks[at : at + 4], "big")
        yield chunks[at:end]
        at = end


def _is_seen(kind: bytes, data: bytes) -> bool:
    if kind in (b"tEXt", b"zTXt", b"iTXt"):
        return data.startswith(TURNED) and len(data) <= LARGEST and _is_small(kind, data)
    return kind[:1].isupper() or kind in SEEN


def _is_small(kind: bytes, data: bytes) -> bool:
    packed = re.match(PACKED[kind], data) if kind in PACKED else None
    if not packed:
        return True
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(data[packed.end() :], LARGEST)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail
