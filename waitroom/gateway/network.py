"""From which network somebody asks, as far as joins are counted by it."""

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
    known = parse_address(address)
    if known is None or address in trusted:
        return ""
    bits = ipv4_bits if known.version == 4 else ipv6_bits
    return str(ipaddress.ip_network((known, bits), strict=False))
