"""From which network somebody asks, as far as joins and connections are counted by it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from .visitor import find_origin, parse_address

if TYPE_CHECKING:
    from .visitor import Asked, TrustedProxies


def network_of(asked: Asked, trusted: TrustedProxies, *, ipv4_bits: int, ipv6_bits: int) -> str:
    """Return the network of who asks, such as `192.0.2.1/32` or `2001:db8::/64`.

    "" when it cannot be told: on a unix socket, or from a trusted proxy that does not say for whom it asks.
    """
    address = find_origin(asked.peer, "", asked.forwarding, trusted).address
    return network_around(address, trusted, ipv4_bits=ipv4_bits, ipv6_bits=ipv6_bits)


def network_around(address: str, trusted: TrustedProxies, *, ipv4_bits: int, ipv6_bits: int) -> str:
    """Return the network that an address lies in; "" for what is none, and for a trusted proxy's."""
    known = parse_address(address)
    if known is None or address in trusted:
        return ""
    bits = ipv4_bits if known.version == 4 else ipv6_bits
    return str(ipaddress.ip_network((known, bits), strict=False))
