"""Webhooks go to the public internet only: no spelling, redirect or change of DNS leads into our own network."""

import socket

import pytest

from core import webhooks
from core.config import get_settings
from core.webhooks import InvalidUrl, Undelivered, check_url, find_address

EVENT: dict[str, object] = {"id": "evt_1"}
SECRET = "whsec_" + "A" * 43 + "="
PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.7"


@pytest.fixture
def production(services, monkeypatch):
    monkeypatch.setenv("ADAPTARY_ENV", "production")
    monkeypatch.setenv("PORTAL_URL", "https://portal.example")
    monkeypatch.setenv("API_URL", "https://api.example")
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def dns(monkeypatch):
    """`dns([answer, …])`: what names resolve to, one answer after the other; whom we then connect to is listed."""
    connected: list[tuple[str, int]] = []

    def connect(address, **_):
        connected.append(address)
        raise ConnectionRefusedError

    def set_up(answers):
        left = iter(answers)

        def look_up(_host, port, **_):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in next(left)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(socket, "create_connection", connect)
        return connected

    return set_up


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "localhost",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
    ],
)
def test_no_spelling_of_an_address_of_our_own_is_taken_for_a_public_one(host):
    with pytest.raises((Undelivered, OSError)):
        find_address(host, 443, public=True)


def test_a_name_with_one_address_of_our_own_among_public_ones_is_refused(production, dns):
    connected = dns([[PUBLIC, PRIVATE]])
    with pytest.raises(Undelivered, match="public"):
        webhooks.send("https://hooks.example/", EVENT, SECRET)
    assert connected == []


def test_a_name_that_changes_after_it_was_looked_at_changes_nothing(production, dns):
    connected = dns([[PUBLIC], [PRIVATE], [PRIVATE]])
    with pytest.raises(Undelivered):
        webhooks.send("https://hooks.example/", EVENT, SECRET)
    assert connected == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "https://user:password@hooks.example/",
        "https://hooks.example:0/",
        "https://hooks.example:99999/",
        "https://hooks.example/ HTTP/1.1",
        "https://hooks.example/\r\nHost: other.example",
        "https://",
    ],
)
def test_what_is_no_plain_address_by_https_is_refused_in_production(production, url):
    with pytest.raises(InvalidUrl):
        check_url(url)
