"""The test of the test: what is planted is found, however it is written."""

import base64
import json
import zlib
from html import escape
from urllib.parse import quote, quote_plus

import pytest

from core.privacy.entities import ENTITIES
from tests.canary.search import find
from tests.canary.values import COUNT, make_canaries

CANARIES = make_canaries()

WRITTEN = {
    "plain": str.encode,
    "small letters": lambda text: text.lower().encode(),
    "capitals": lambda text: text.upper().encode(),
    "no spaces": lambda text: "".join(text.split()).encode(),
    "json": lambda text: json.dumps(text).encode(),
    "html": lambda text: escape(text).encode(),
    "csv": lambda text: text.replace('"', '""').encode(),
    "url": lambda text: quote(text, safe="").encode(),
    "form": lambda text: quote_plus(text).encode(),
    "hex": lambda text: text.encode().hex().encode(),
    "utf-16": lambda text: text.encode("utf-16-le"),
    "base64, first": lambda text: base64.b64encode(text.encode()),
    "base64, behind one": lambda text: base64.b64encode(b"x" + text.encode() + b"yz"),
    "base64, behind two": lambda text: base64.b64encode(b"xy" + text.encode() + b"z"),
    "packed": lambda text: b"\x01\x02" + zlib.compress(text.encode()),
    "packed, in base64": lambda text: base64.b64encode(zlib.compress(b"it failed: " + text.encode() * 3)),
}


def test_there_are_as_many_values_as_are_to_be_planted_of_every_kind():
    assert len({canary.value for canary in CANARIES}) == COUNT
    assert {canary.entity for canary in CANARIES} == {entity.name for entity in ENTITIES}


@pytest.mark.parametrize("spelling", WRITTEN)
def test_every_value_is_found_however_it_is_written(tmp_path, spelling):
    folder = tmp_path / "a folder"
    folder.mkdir()
    for number, canary in enumerate(CANARIES):
        around = b"before " * (number % 5), b" behind" * (number % 3)
        (folder / f"{number}").write_bytes(around[0] + WRITTEN[spelling](canary.value) + around[1])
    found = find(tmp_path, CANARIES)
    assert {name: {canary.value for canary in there} for name, there in found.items()} == {
        f"a folder/{number}": {canary.value} for number, canary in enumerate(CANARIES)
    }


def test_nothing_is_found_where_nothing_was_planted(tmp_path):
    other = make_canaries("others")
    (tmp_path / "file").write_text("\n".join(canary.value for canary in other))
    assert find(tmp_path, CANARIES) == {}
