"""Read deletion vectors: the deleted rows of a data file, as a mask over its rows (Delta's protocol, "Deletion Vector Format").

A vector is an array of 32-bit Roaring bitmaps, in a file at an offset or inline in base 85. Whoever writes a table writes vectors, so
nothing in them is trusted: positions beyond the file's rows are refused before memory is taken for them.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import TYPE_CHECKING

from dataward.tables.deltalog.actions import RFC1924, Z85
from dataward.tables.deltalog.folder import Folder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

__all__ = ["deleted_rows", "vector_bytes"]

MAGIC, OLDER = 1681511377, 1681511376
"""The present form, and that of the protocol's example, whose numbers are big-endian."""
WITH_RUNS, WITHOUT_RUNS = 12347, 12346
CHUNK = 1 << 16
"""Positions of a container."""
ARRAY = 4096
"""Most values of a container that is an array; one with more is a bitset."""
OFFSETS = 4
"""Containers from which on a bitmap with runs has offsets."""
LARGEST = 1 << 29
"""Most rows of a file whose vectors are read: a byte of memory each."""
AT = re.compile(r"[up].*@(\d+)")


def vector_bytes(table: Folder, identity: str, path: str | None) -> bytes:
    """Return the serialised bitmaps of a deletion vector.

    Args:
        table: the table's folder.
        identity: kind, name or inline data, and offset, as in Delta's protocol.
        path: the vector's file; None where it is inline.

    Raises:
        Missing: the file does not exist.
        ValueError: it is not a deletion vector.
    """
    if path is None:
        return base64.b85decode(identity[1:].encode().translate(bytes.maketrans(Z85.encode(), RFC1924.encode())))
    found = AT.fullmatch(identity)
    if found is None:
        raise ValueError("the vector has no offset")
    data, start = table.read(path), int(found[1])
    size = int.from_bytes(data[start : start + 4], "big")
    content, end = data[start + 4 : start + 4 + size], data[start + 4 + size : start + 8 + size]
    if data[:1] != b"\1" or len(end) != 4 or zlib.crc32(content) != int.from_bytes(end, "big"):
        raise ValueError("the vector's file is damaged")
    return content


def deleted_rows(data: bytes, rows: int) -> Mask:
    """Return for each row of a data file whether a vector deletes it.

    Args:
        data: serialised bitmaps, see :func:`vector_bytes`.
        rows: number of rows of the data file.

    Raises:
        ValueError: it is not a deletion vector of so many rows.
    """
    import numpy as np

    if rows > LARGEST:
        raise ValueError("the file says that it has too many rows")
    mask = np.zeros(rows, dtype=bool)
    try:
        older = struct.unpack_from(">i", data)[0] == OLDER
        magic, count, at = (
            (MAGIC, *struct.unpack_from(">I", data, 4), 8) if older else (*struct.unpack_from("<iq", data), 12)
        )
        if magic != MAGIC:
            raise ValueError("the vector has another format")
        for number in range(count):
            # Before each bitmap is its key or, in the older form, where keys are consecutive, its size.
            key = number if older else struct.unpack_from("<I", data, at)[0]
            at = _bitmap(data, at + 4, key << 32, mask)
    except struct.error:
        raise ValueError("the vector is cut off") from None
    return mask


def _bitmap(data: bytes, at: int, base: int, mask: Mask) -> int:
    """Add the positions of a bitmap to a mask; returns where the bitmap ends."""
    (cookie,) = struct.unpack_from("<I", data, at)
    at += 4
    runs = b""
    if cookie & 0xFFFF == WITH_RUNS:
        size = (cookie >> 16) + 1
        runs = data[at : at + (size + 7) // 8]
        at += len(runs)
    elif cookie == WITHOUT_RUNS:
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
    else:
        raise ValueError("the vector has another format")
    if size > CHUNK:
        raise ValueError("the vector has too many parts")
    header = struct.unpack_from(f"<{2 * size}H", data, at)
    at += 4 * size
    at += 4 * size if not runs or size >= OFFSETS else 0
    for number in range(size):
        first = base + (header[2 * number] << 16)
        running = bool(runs and runs[number // 8] >> number % 8 & 1)
        at = _container(data, at, header[2 * number + 1] + 1 if not running else 0, mask[first : first + CHUNK])
    return at


def _container(data: bytes, at: int, cardinality: int, part: Mask) -> int:
    """Add the positions of a container to its part of a mask; ``cardinality``: 0 for runs."""
    import numpy as np

    if cardinality == 0:
        count = int(struct.unpack_from("<H", data, at)[0])
        pairs = np.frombuffer(_exactly(data, at + 2, 4 * count), "<u2").reshape(-1, 2).astype(np.int64)
        for start, length in pairs:
            if start + length >= len(part):
                raise ValueError("the vector deletes rows that the file does not have")
            part[start : start + length + 1] = True
        return at + 2 + 4 * count
    if cardinality <= ARRAY:
        positions = np.frombuffer(_exactly(data, at, 2 * cardinality), "<u2")
        end = at + 2 * cardinality
    else:
        bits = np.frombuffer(_exactly(data, at, CHUNK // 8), "u1")
        positions = np.flatnonzero(np.unpackbits(bits, bitorder="little"))
        end = at + CHUNK // 8
    if len(positions) and int(positions.max()) >= len(part):
        raise ValueError("the vector deletes rows that the file does not have")
    part[positions] = True
    return end


def _exactly(data: bytes, at: int, size: int) -> bytes:
    found = data[at : at + size]
    if len(found) != size:
        raise ValueError("the vector is cut off")
    return found
