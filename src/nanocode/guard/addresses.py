"""Which network addresses a fetch may reach; knows nothing of HTTP.

A page can tell a model to fetch an address inside the user's network, so what is not public needs the user's word.
"""

import re
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class Reach(Enum):
    """PUBLIC is free, PRIVATE needs the user's word, NEVER is refused whatever anyone says."""

    PUBLIC = "public"
    PRIVATE = "private"
    NEVER = "never"


# Clouds hand their credentials to whoever asks at these (AWS, GCP, Azure; AWS over IPv6; Alibaba; Oracle).
_NEVER = [ip_network(each) for each in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32")]
_NEVER += [ip_network(each) for each in ("192.0.0.192/32", "0.0.0.0/32", "::/128", "224.0.0.0/4", "ff00::/8")]
_NEVER_NAMES = ("metadata.google.internal", "metadata.goog", "instance-data")
_NAT64 = ip_network("64:ff9b::/96")


def reach(address: str) -> Reach:
    """The class of an IP address; one inside an IPv6 wrapping counts as itself. Raises ValueError for a name."""
    ip = _unwrapped(ip_address(address.partition("%")[0]))
    if any(ip in network for network in _NEVER if network.version == ip.version):
        return Reach.NEVER
    return Reach.PUBLIC if ip.is_global and not ip.is_reserved else Reach.PRIVATE


def is_metadata(host: str) -> bool:
    """Whether a name is a cloud's metadata service, wherever it may resolve to."""
    return host.lower().rstrip(".") in _NEVER_NAMES


def named(host: str, port: int, text: str) -> bool:
    """Whether a user's text names this host, as a word of its own, with this port or with none."""
    for found in re.finditer(rf"(?<![\w.-]){re.escape(host.lower())}(?![\w-]|\.\w)(?::(\d+))?", text.lower()):
        if found[1] is None or int(found[1]) == port:
            return True
    return False


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)
