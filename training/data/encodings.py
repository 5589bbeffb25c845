"""Which characters a file's bytes stand for: told where it can be, assumed (and said so) where not."""

import codecs
import io
import re
from dataclasses import dataclass
from typing import BinaryIO

from charset_normalizer import CharsetMatch, from_bytes

from training.data.errors import DataError

SAMPLE_BYTES = 128 << 10
_CHUNK = 1 << 20

_BOMS = (
    # UTF-32's little-endian mark begins with UTF-16's: it has to be looked for first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with a byte order mark",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 (little-endian)",
    "utf-16-be": "UTF-16 (big-endian)",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252 (Western European)",
    "iso8859_15": "ISO-8859-15 (Western European)",
    "mac_roman": "Mac Roman",
    "cp1250": "Windows-1250 (Central European)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "koi8_r": "KOI8-R (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1255": "Windows-1255 (Hebrew)",
    "cp1256": "Windows-1256 (Arabic)",
    "cp932": "Shift JIS (Japanese)",
    "euc_jp": "EUC-JP (Japanese)",
    "gb18030": "GB 18030 (Chinese)",
    "big5": "Big5 (Chinese)",
    "cp949": "Korean (Unified Hangul)",
}
"""The encodings that files are read in, by Python's name, and what people call them."""

_LEGACY = [name for name in ENCODINGS if not name.startswith("utf-")]
_UNREADABLE = "\udcff"
_MARK = "adaptary-mark"
_MULTI_BYTE = re.compile(r"[^\x00-\x7f\udcff]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding by Python's name; `assumed` where the bytes allow others too."""

    name: str
    assumed: bool


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _UNREADABLE, error.end


# Text is decoded ahead of the row that is being read, so an exception from the decoder would name the wrong
# row. Bytes that stand for nothing become a lone surrogate, which no decoder produces, and are found by row.
codecs.register_error(_MARK, _mark)


def detect_encoding(stream: BinaryIO) -> Encoding:
    """The encoding of `stream`, which is read through once and left at its beginning."""
    stream.seek(0)
    head = stream.read(SAMPLE_BYTES)
    encoding = _from_mark(head) or _from_nulls(head)
    if encoding is None:
        stream.seek(0)
        sample = _first_not_utf8(stream)
        encoding = Encoding("utf-8", assumed=False) if sample is None else _legacy(head, sample)
    stream.seek(0)
    return encoding


def _from_mark(head: bytes) -> Encoding | None:
    return next((Encoding(name, assumed=False) for bom, name in _BOMS if head.startswith(bom)), None)


def _from_nulls(head: bytes) -> Encoding | None:
    """UTF-16 without a mark: of mostly Latin text every other byte is null."""
    half = len(head) // 2
    if half < 2:
        return None
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros.count(0) > 0.4 * half and head.count(0) < 1.2 * half:
            return Encoding(name, assumed=True)
    return None


def _first_not_utf8(stream: BinaryIO) -> bytes | None:
    """What surrounds the first bytes that are not UTF-8; None where all of them are."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    before = b""
    while chunk := stream.read(_CHUNK):
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            middle = len(before) + max(0, error.start - 4)
            around = before + chunk
            return around[max(0, middle - SAMPLE_BYTES) : middle + SAMPLE_BYTES]
        before = chunk[-SAMPLE_BYTES:]
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return before
    return None


def _legacy(head: bytes, sample: bytes) -> Encoding:
    decoded = sample.decode("utf-8", _MARK)
    readable = len(_MULTI_BYTE.findall(decoded))
    if readable > decoded.count(_UNREADABLE):
        # UTF-8 with damage: to take it for another encoding would garble every accent in it.
        return Encoding("utf-8", assumed=False)
    matches = list(from_bytes(head + sample, cp_isolation=_LEGACY))
    if not matches:
        return Encoding("utf-8", assumed=False)
    return Encoding(_likeliest(matches).encoding, assumed=True)


def _likeliest(matches: list[CharsetMatch]) -> CharsetMatch:
    """The best of `matches` (best first), but for two that are told apart better by other means."""
    best = matches[0]
    for match in matches:
        # Kana fill Japanese texts and no others, whatever other tables make of the same bytes.
        if match.encoding in {"cp932", "euc_jp"} and _share_of_kana(str(match)) > 0.2:
            return match
        # A few accents fit many tables equally well; the most common table is the likeliest then.
        if (
            match.encoding == "cp1252"
            and match.chaos <= best.chaos + 0.02
            and match.coherence >= best.coherence - 0.05
        ):
            return match
    return best


def _share_of_kana(text: str) -> float:
    foreign: list[str] = _MULTI_BYTE.findall(text)
    return sum("\u3040" <= sign <= "\u30ff" for sign in foreign) / max(1, len(foreign))


def text_stream(stream: BinaryIO, encoding: str, newline: str) -> io.TextIOWrapper:
    """`stream` from its beginning as text; pass each line through `check_line`."""
    stream.seek(0)
    return io.TextIOWrapper(stream, encoding, errors=_MARK, newline=newline)


def check_line(line: str, encoding: str, where: str) -> None:
    """Raise DataError, naming `where`, if `line` holds bytes that are no text in `encoding`."""
    if "\0" in line:
        raise DataError(
            f"{where} holds a null byte, which text never does. The file is damaged or is not text: "
            "export it again as CSV in UTF-8."
        )
    if not line.isascii() and _UNREADABLE in line:
        raise DataError(
            f"{where} holds bytes that are not {ENCODINGS.get(encoding, encoding)}. "
            "Correct the characters there, or save the file again as UTF-8."
        )
