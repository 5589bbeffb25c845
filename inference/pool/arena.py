"""Memory that the engines' processes share: adapters are written into it once, whatever the number of engines."""

import mmap
import os
import weakref
from bisect import bisect
from threading import Lock

_PAGE = mmap.PAGESIZE


class ArenaFull(Exception):
    """No gap is large enough for the block."""


class Block:
    """Bytes [offset, offset + size) of the arena, whole pages; they are free again once nobody holds the block.

    `number` is never used twice.
    """

    __slots__ = ("__weakref__", "number", "offset", "size", "view")

    def __init__(self, number: int, offset: int, view: memoryview) -> None:
        self.number = number
        self.offset = offset
        self.size = len(view)
        self.view = view


class Arena:
    """An anonymous file in memory that blocks are cut from. Only the pages of blocks in use take memory.

    `descriptor` is the file's, for processes that map it too. Thread-safe.
    """

    def __init__(self, size: int) -> None:
        """`size` is in bytes, of addresses rather than memory."""
        self._size = -(-size // _PAGE) * _PAGE
        self.descriptor = os.memfd_create("adapters")
        os.ftruncate(self.descriptor, self._size)
        self._map = mmap.mmap(self.descriptor, self._size)
        self._view = memoryview(self._map)
        self._gaps: list[tuple[int, int]] = [(0, self._size)]
        self._numbers = 0
        self._lock = Lock()

    def allocate(self, size: int) -> Block:
        """A block of at least `size` bytes, all zero. Raises ArenaFull."""
        size = -(-size // _PAGE) * _PAGE
        with self._lock:
            for place, (start, end) in enumerate(self._gaps):
                if end - start >= size:
                    self._gaps[place : place + 1] = [(start + size, end)] if end - start > size else []
                    break
            else:
                raise ArenaFull(f"There is no gap of {size} bytes.")
            self._numbers += 1
            block = Block(self._numbers, start, self._view[start : start + size])
        weakref.finalize(block, self._free, start, start + size).atexit = False
        return block

    @property
    def used_bytes(self) -> int:
        with self._lock:
            return self._size - sum(end - start for start, end in self._gaps)

    def _free(self, start: int, end: int) -> None:
        # Gives the pages back to the system; whoever still maps them would read zeros.
        self._map.madvise(mmap.MADV_REMOVE, start, end - start)
        with self._lock:
            place = bisect(self._gaps, (start, end))
            if place < len(self._gaps) and self._gaps[place][0] == end:
                end = self._gaps.pop(place)[1]
            if place and self._gaps[place - 1][1] == start:
                place -= 1
                start = self._gaps.pop(place)[0]
            self._gaps.insert(place, (start, end))


def map_arena(descriptor: int) -> memoryview:
    """The arena as another process reads it, from the file's descriptor that it was started with."""
    return memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))
