"""Networks in CIDR notation: which addresses may call, or sign in."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

MOST_NETWORKS = 50


class InvalidNetwork(ValueError):
    """A line is no network; the message says which, for the person who wrote it."""


def parse_networks(text: str) -> list[str]:
    """The networks of a text that has one a line, each in its usual notation; an address alone is a network of one.

    Raises InvalidNetwork.
    """
    networks = []
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            networks.append(str(ip_network(line, strict=False)))
        except ValueError:
            raise InvalidNetwork(
                f"{line[:60]!r} is no address or network. Write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32."
            ) from None
    if len(networks) > MOST_NETWORKS:
        raise InvalidNetwork(f"Use at most {MOST_NETWORKS} networks.")
    return list(dict.fromkeys(networks))


def is_within(address: str | None, networks: Sequence[str]) -> bool:
    """Whether an IP address is in one of `networks`; an IPv4 address that comes as IPv6 (::ffff:…) counts as itself."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in ip_network(network) for network in networks)
