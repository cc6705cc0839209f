"""PNG files reduced to their pixels: Pillow may refuse a good image for its metadata."""

import re
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SEEN = (
    b"tRNS",
    b"eXIf",
)  # transparency and orientation; the names of critical chunks begin in upper case

# Texts in which Pillow looks for the orientation: ImageMagick's, and Adobe's XMP.
TURNED = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
PACKED = {  # what precedes compressed data: keyword, flag and method, language and translation
    b"zTXt": rb"[^\0]*\0\0",
    b"iTXt": rb"[^\0]*\0\x01\0[^\0]*\0[^\0]*\0",
}
LARGEST = 2**20  # bytes of such a text, compressed or not: Pillow's own limit


def without_metadata(chunks: bytes) -> bytes:
    """A PNG file with only the chunks that affect its pixels; a colour profile is not applied.

    A large text is left out: a few kilobytes may unpack to gigabytes, and nothing is unpacked
    beyond `LARGEST`.

    Args:
        chunks: A PNG file without its signature.
    """
    kept = (chunk for chunk in _split(chunks) if _is_seen(chunk[4:8], chunk[8:-4]))
    return b"".join([SIGNATURE, *kept])


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
    """Whether a text unpacks to no more than the limit."""
    packed = re.match(PACKED[kind], data) if kind in PACKED else None
    if not packed:
        return True
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(data[packed.end() :], LARGEST)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail
