"""Files of a log in the layout of C2SP tlog-tiles: bundles of 256 entries, and tiles of 256 hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dataward.errors import ProofError
from dataward.integrity.log.merkle import root_of

__all__ = ["LARGEST", "WIDTH", "Tiles", "bundle_path", "extended", "framed", "path", "unpacked"]

WIDTH = 256
HASH = 32
LARGEST = 65_535
"""Most bytes of an entry: its length has two bytes."""

Read = Callable[[str], "bytes | None"]


def path(level: int | str, index: int, width: int = WIDTH) -> str:
    """Return the name of a tile or, with level ``entries``, of a bundle; a partial one includes its width."""
    parts = [f"{index % 1000:03}"]
    while index := index // 1000:
        parts.insert(0, f"x{index % 1000:03}")
    whole = f"tile/{level}/{'/'.join(parts)}"
    return whole if width == WIDTH else f"{whole}.p/{width}"


def bundle_path(size: int) -> str:
    """Return the name of the bundle with the last entry of a log of this size."""
    index, width = divmod(size, WIDTH)
    return path("entries", index, width) if width else path("entries", index - 1)


def framed(entry: bytes) -> bytes:
    """Return an entry with its length as prefix.

    Raises:
        ValueError: the entry is empty or too long.
    """
    if not 0 < len(entry) <= LARGEST:
        raise ValueError(f"an entry has 1 to {LARGEST:,} bytes; this one has {len(entry):,}")
    return len(entry).to_bytes(2, "big") + entry


def unpacked(bundle: bytes) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        ValueError: the bundle is truncated.
    """
    found, at = [], 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
        if at + 2 > len(bundle) or end > len(bundle):
            raise ValueError("the bundle is cut off")
        found.append(bundle[at + 2 : end])
        at = end
    return found


class Tiles:
    """The hashes of a tree by its number of entries; each file is read at most once.

    ``largest`` returns the size of the newest checkpoint: its tiles contain the hashes of every earlier tree, and replace tiles of a
    size without a checkpoint, or of removed files.
    """

    def __init__(self, read: Read, size: int, largest: Callable[[], int] = lambda: 0) -> None:
        """Set the source; nothing is read."""
        self._read, self.size, self._largest = read, size, largest
        self._known: dict[tuple[int, int], list[bytes]] = {}

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree (:data:`merkle.Nodes`).

        Raises:
            ProofError: the tile is missing or too short.
        """
        tile_level, inside = divmod(level, 8)
        first = index << inside
        hashes = self.tile(tile_level, first // WIDTH)
        wanted = hashes[first % WIDTH : first % WIDTH + (1 << inside)]
        if len(wanted) != 1 << inside:
            raise ProofError(f"{path(tile_level, first // WIDTH)}: the tile lacks hashes")
        return root_of(wanted)

    def tile(self, level: int, index: int) -> list[bytes]:
        """Return the hashes of a tile that belong to a tree of this size."""
        if (level, index) not in self._known:
            width = min(WIDTH, (self.size >> 8 * level) - index * WIDTH)
            data = self._read(path(level, index, width)) if width > 0 else b""
            if data is None and width < WIDTH:  # partial tiles may be removed once the full tile exists
                data = self._read(path(level, index))
                more = (self._largest() >> 8 * level) - index * WIDTH if data is None else 0
                data = self._read(path(level, index, more)) if width < more < WIDTH else data
            if data is None or len(data) < width * HASH:
                what = "is missing" if data is None else "is cut off"
                raise ProofError(
                    f"{path(level, index, max(width, 1))}: the tile {what}. Repair with: dataward ledger repair"
                )
            self._known[level, index] = [data[at : at + HASH] for at in range(0, width * HASH, HASH)]
        return self._known[level, index]


def extended(tiles: Tiles, leaves: Sequence[bytes]) -> Iterable[tuple[str, bytes]]:
    """Yield names and contents of the tiles that appended leaves change, lower levels first."""
    level, start, more = 0, tiles.size, list(leaves)
    while more:
        index, width = divmod(start, WIDTH)
        hashes = (tiles.tile(level, index)[:width] if width else []) + more
        rows = [hashes[at : at + WIDTH] for at in range(0, len(hashes), WIDTH)]
        for number, row in enumerate(rows):
            yield path(level, index + number, len(row)), b"".join(row)
        more = [root_of(row) for row in rows if len(row) == WIDTH]
        level, start = level + 1, index
