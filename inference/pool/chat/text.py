"""Tokens into text as they come: no character in two pieces, and no beginning of a stop string."""

import codecs
import json
from collections.abc import Sequence
from functools import cache

from tokenizers import Tokenizer

from inference.pool.encoder_weights import UnsupportedModel


def token_bytes(tokenizer: Tokenizer, vocabulary: int) -> tuple[bytes, ...]:
    """For each token id, the UTF-8 bytes that it stands for: none for a special token or an id of no token.

    Raises UnsupportedModel for a tokenizer that is not of GPT-2's kind, where every token is a string of bytes.
    """
    decoder = json.loads(tokenizer.to_str())["decoder"] or {}
    if decoder.get("type") != "ByteLevel":
        raise UnsupportedModel("The tokenizer's tokens are not strings of bytes.")
    special = {token_id for token_id, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    table = [b""] * vocabulary
    for token, token_id in tokenizer.get_vocab(with_added_tokens=True).items():
        if token_id < vocabulary and token_id not in special:
            table[token_id] = _bytes_of(token)
    return tuple(table)


def _bytes_of(token: str) -> bytes:
    alphabet = _alphabet()
    if all(character in alphabet for character in token):
        return bytes(alphabet[character] for character in token)
    return token.encode()


@cache
def _alphabet() -> dict[str, int]:
    """The byte that each character stands for in a token: printable Latin-1 for itself, the rest from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + index): byte for index, byte in enumerate(rest)
    }


class TokenDecoder:
    """Text of a row's tokens: what each one completes. The pieces join to what the whole decodes to."""

    def __init__(self, table: Sequence[bytes]) -> None:
        self._table = table
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The characters that `token` completes; it may be none."""
        return self._decoder.decode(self._table[token])

    def flush(self) -> str:
        """What is left at the end: U+FFFD for a character of which only a part came."""
        return self._decoder.decode(b"", final=True)


class StopFilter:
    """Lets text through up to the first stop string, and holds back what may be the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """What may be sent now, and whether a stop string has come: what follows it is dropped."""
        if not self._stops:
            return text, False
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            sent, self._held = self._held[: min(found)], ""
            return sent, True
        cut = len(self._held) - self._suspect()
        sent, self._held = self._held[:cut], self._held[cut:]
        return sent, False

    def flush(self) -> str:
        """What was held back, now that nothing can follow it."""
        held, self._held = self._held, ""
        return held

    def _suspect(self) -> int:
        """The length of the longest end of the held text that a stop string begins with."""
        longest = min(len(self._held), max(len(stop) for stop in self._stops) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0
