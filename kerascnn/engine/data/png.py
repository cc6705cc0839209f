"""PNG files without the notes in them, for which Pillow may refuse pixels that are good."""

import re
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SEEN = (b"tRNS", b"eXIf")  # transparency and orientation; the critical chunks begin in upper case

# Texts that may hold the orientation, as Pillow reads it: ImageMagick's, and Adobe's XMP.
TURNED = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
PACKED = {  # what stands before what is packed: keyword, flag and method, language and translation
    b"zTXt": rb"[^\0]*\0\0",
    b"iTXt": rb"[^\0]*\0\x01\0[^\0]*\0[^\0]*\0",
}
LARGEST = 2**20  # bytes of such a text, as it is and unpacked; Pillow's own limit


def without_notes(chunks: bytes) -> bytes:
    """A PNG file with the chunks alone that decide how it looks; the colour profile is not applied.

    A large text, which may be a few kilobytes that unpack to gigabytes, is left out, and never
    unpacked beyond `LARGEST`.

    Args:
        chunks: All of a PNG file but its signature.
    """
    kept = (chunk for chunk in _split(chunks) if _is_seen(chunk[4:8], chunk[8:-4]))
    return b"".join([SIGNATURE, *kept])


def _split(chunks: bytes) -> Iterator[bytes]:
    """Each of length, kind, data and checksum; the last one may be cut off."""
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
