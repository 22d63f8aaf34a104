"""Truncated files that decoders accept: what the outermost structure of a container promises."""

import struct
from pathlib import Path
from typing import BinaryIO

EBML_MAGIC = b"\x1a\x45\xdf\xa3"
SEGMENT_ID = b"\x18\x53\x80\x67"
MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"pnot", b"styp"})


def missing_bytes(path: Path) -> int:
    """Return how many bytes a file lacks by its container's own structure; 0 where it is whole.

    Known for MP4, MOV and 3GP (boxes), and for Matroska and WebM (the segment's size). Other
    containers do not say how long they are.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        if head[4:8] in MP4_BOXES:
            end = _end_of_boxes(file, size_bytes)
        elif head[:4] == EBML_MAGIC:
            end = _end_of_segment(file)
        else:
            end = size_bytes
    return max(0, end - size_bytes)


def _end_of_boxes(file: BinaryIO, size_bytes: int) -> int:
    position = 0
    while position + 8 <= size_bytes:
        file.seek(position)
        length = struct.unpack(">I4x", file.read(8))[0]
        if length == 1:  # a 64-bit length follows
            length = int.from_bytes(file.read(8), "big")
        if length < 8:  # 0: up to the end of the file; 1 to 7: not a box
            return size_bytes
        position += length
    return position


def _end_of_segment(file: BinaryIO) -> int:
    file.seek(len(EBML_MAGIC))
    header_bytes = _read_size(file)
    file.seek(header_bytes or 0, 1)
    if header_bytes is None or file.read(4) != SEGMENT_ID:
        return 0
    length = _read_size(file)
    return 0 if length is None else file.tell() + length


def _read_size(file: BinaryIO) -> int | None:
    """Read one EBML size: leading zero bits give its length, all ones mean unknown (live)."""
    first = int.from_bytes(file.read(1), "big")
    extra = 8 - first.bit_length()
    value_bits = 7 * (extra + 1)
    value = int.from_bytes(bytes([first]) + file.read(extra), "big") & ((1 << value_bits) - 1)
    return None if value == (1 << value_bits) - 1 else value
