"""The search: which planted values lie in a folder's files, in whatever spelling."""

import base64
import re
import subprocess
import tempfile
import zlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from tests.canary.values import Canary

_PACKED = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_PACKED_IN_BASE64 = re.compile(rb"eJ[\w+/]{20,}={0,2}")
_MOST_UNPACKED = 1 << 20


def spellings(mark: str) -> set[bytes]:
    """How `mark` may be written. The search itself takes ASCII letters of either case for equal."""
    found = set()
    for one in (mark, mark.lower(), mark.upper()):
        raw = one.encode()
        found |= {raw, raw.hex().encode(), *_in_base64(raw)}
        for written in (
            one.replace('"', '""'),
            quote(one, safe=""),
            quote_plus(one),
            _json(one),
            _html(one),
        ):
            found.add(written.encode())
    return found


def _json(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char.isascii() else f"\\u{ord(char):04x}" for char in escaped)


def _html(text: str) -> str:
    for char, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")):
        text = text.replace(char, name)
    return text


def _in_base64(data: bytes) -> Iterator[bytes]:
    """What stays the same of `data` in base64, wherever in it it begins."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data)
        # A character at an edge that holds bits of a neighbour, too, is left out.
        yield encoded[-(-before * 4 // 3) : (before + len(data)) * 8 // 6]


def find(folder: Path, canaries: Iterable[Canary]) -> Mapping[str, set[Canary]]:
    """The planted values that lie in the folder's files, by the file's path from there.

    Files are searched as they are, without their NULs, which makes UTF-16 plain, and with what is packed in them
    unpacked. All of it goes through one grep, which reads thousands of patterns in the time of a few.
    """
    of_spelling = {
        spelling.lower(): canary
        for canary in canaries
        for mark in canary.marks
        for spelling in spellings(mark)
    }
    found: dict[str, set[Canary]] = defaultdict(set)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        patterns, heap = Path(memory, "patterns"), Path(memory, "heap")
        patterns.write_bytes(b"\n".join(sorted(of_spelling)) + b"\n")
        starts, paths = _pile_up(folder, heap)
        for offset, spelling in _grep(patterns, heap):
            path = paths[bisect_right(starts, offset) - 1]
            found[str(path.relative_to(folder))].add(of_spelling[spelling.lower()])
    return found


def _pile_up(folder: Path, heap: Path) -> tuple[list[int], list[Path]]:
    """Write all of the folder's files into one: at which offsets they begin, and their paths."""
    starts, paths = [], []
    with heap.open("wb") as pile:
        for path in sorted(folder.rglob("*")):
            data = _read(path)
            if data:
                starts.append(pile.tell())
                paths.append(path)
                pile.writelines(_readings(data))
    return starts, paths


def _read(path: Path) -> bytes:
    """What is in the file, if it is one; a server may delete one of its own at this moment."""
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    except FileNotFoundError:
        return b""


def _readings(data: bytes) -> Iterator[bytes]:
    yield data
    if b"\0" in data:
        yield b"\n" + data.replace(b"\0", b"")
    for unpacked in _unpacked(data):
        yield b"\n" + unpacked
    yield b"\n"


def _unpacked(data: bytes) -> Iterator[bytes]:
    """What zlib packed, as RQ packs what a job is called with and what it failed with."""
    packed = [data[match.start() :] for match in _PACKED.finditer(data)] if len(data) < _MOST_UNPACKED else []
    for match in _PACKED_IN_BASE64.finditer(data):
        text = match[0].rstrip(b"=")
        packed.append(base64.b64decode(text[: len(text) // 4 * 4]))
    for one in packed:
        unpacker = zlib.decompressobj()
        try:
            unpacked = unpacker.decompress(one, _MOST_UNPACKED)
        except zlib.error:
            continue
        yield unpacked


def _grep(patterns: Path, heap: Path) -> Iterator[tuple[int, bytes]]:
    """The offset of everything in `heap` that is one of `patterns`, and that."""
    result = subprocess.run(
        ["grep", "-a", "-b", "-i", "-o", "-F", "-f", patterns, heap],
        capture_output=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    assert result.returncode in (0, 1), result.stderr.decode()  # 1: there is nothing
    for line in result.stdout.splitlines():
        offset, _, spelling = line.partition(b":")
        yield int(offset), spelling
