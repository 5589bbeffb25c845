"""What a browser says it is, in words by which its owner knows it again."""

from ipaddress import ip_address, ip_network

# The first that is found counts: most browsers name others besides themselves.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_IPV4_PREFIX, _IPV6_PREFIX = 24, 48


def device_name(user_agent: str) -> str:
    """The browser and the system of a User-Agent header: "Firefox on Windows"."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "Another browser")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    return f"{browser} on {system}" if system else browser


def network_of(address: str | None) -> str:
    """The network that an IP address is in: its /24, or /48 for IPv6. Enough to tell the office from elsewhere."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(ip_network((ip, _IPV4_PREFIX if ip.version == 4 else _IPV6_PREFIX), strict=False))
