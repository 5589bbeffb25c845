"""Frames on the wire: as they were sent, or refused."""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.confined.frames import MAX_HEADER_BYTES, Closed, Malformed, Message, SocketChannel


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def receive(data: bytes, most_bytes: int = 10) -> Message:
    """What is received of `data`, after which the other side closes."""
    one, other = socket.socketpair()
    with one, other:
        one.sendall(data)
        one.close()
        return SocketChannel(other, 5).receive(lambda _header: most_bytes)


def frame(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("!IQ", len(header), len(body)) + header + body


def test_a_message_arrives_as_it_was_sent(pair):
    one, other = pair
    sent = Message(
        {"op": "log", "message": "half of a pair: \ud83d", "numbers": [1, 2.5, None]}, b"\0body\xff"
    )
    SocketChannel(one).send(sent)
    assert SocketChannel(other).receive(lambda header: len(header["message"])) == sent


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(b"[1]"), "header_is_no_object"),
        (frame(b"{"), "not_json"),
        (frame(b"\xff\xfe"), "not_json"),
        (frame(b'{"value": NaN}'), "not_json"),
        (frame(b'{"value": 1e999}'), "not_json"),
        (frame(b'{"op": "log", "op": "save"}'), "not_json"),
        (frame(b"[" * 100_000), "not_json"),
        (frame(b"1" * 10_000), "not_json"),
        (frame(b"{}", b"x" * 11), "body_too_long"),
        (struct.pack("!IQ", MAX_HEADER_BYTES + 1, 0), "header_too_long"),
        (struct.pack("!IQ", 2, 1 << 62) + b"{}", "body_too_long"),
    ],
)
def test_what_is_malformed_or_too_long_is_refused_before_it_is_read(data, reason):
    with pytest.raises(Malformed) as refused:
        receive(data)
    assert refused.value.reason == reason


@given(data=st.binary(max_size=200))
def test_nothing_that_can_be_sent_does_more_than_be_refused(data):
    with suppress(Closed, Malformed):
        assert len(receive(data).body) <= 10


def test_who_does_not_end_what_it_began_is_given_up(pair):
    one, other = pair
    one.sendall(frame(b"{}", b"body")[:-1])
    with pytest.raises(Closed):
        SocketChannel(other, 0.05).receive(lambda _header: 10)


def test_who_does_not_listen_is_given_up(pair):
    one, _ = pair
    with pytest.raises(Closed):
        SocketChannel(one, 0.05).send(Message({}, b"x" * (8 << 20)))
