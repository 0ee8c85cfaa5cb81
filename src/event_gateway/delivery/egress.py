"""The egress guard: which addresses a delivery may be sent to.

What is checked is the address that is dialled, after names are resolved, on each connection.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

# Written out, because what Python's ipaddress calls private differs between its versions.
# From the IANA special-purpose address registries (RFC 6890) and cloud providers' documentation.
_REFUSED: dict[str, str] = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "a private network",
    "100.64.0.0/10": "shared address space (CGNAT)",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's metadata address",
    "169.254.0.0/16": "link-local, cloud metadata among it",
    "172.16.0.0/12": "a private network",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "a private network",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, broadcast among it",
    "::/96": "unspecified, loopback or IPv4-compatible",
    "64:ff9b:1::/48": "local NAT64",
    "100::/64": "discard-only",
    "2001::/23": "reserved for protocols, Teredo among it",
    "2001:db8::/32": "documentation",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "a private network (unique local)",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_NETWORKS = [(ip_network(text), reason) for text, reason in _REFUSED.items()]
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")

Network = IPv4Network | IPv6Network


class EgressGuard:
    """Refuses addresses that are not the public internet's, but for the networks allowed."""

    def __init__(self, allow_networks: Iterable[str] = ()) -> None:
        """Raises ValueError where an entry is no network in CIDR notation."""
        self._allowed: list[Network] = []
        self.allow(allow_networks)

    def allow(self, networks: Iterable[str]) -> None:
        """Allows just these from now on. Raises ValueError as at the making."""
        self._allowed = [ip_network(text) for text in networks]

    def refuses(self, address: str) -> str | None:
        """Why an IP address must not be dialled; None where it may be.

        An IPv6 address that only wraps an IPv4 one (v4-mapped, NAT64, 6to4) is judged by that.
        """
        try:
            given = ip_address(address.partition("%")[0])
        except ValueError:
            return f"{address} is no IP address"
        judged = _unwrapped(given)
        if any(one in network for network in self._allowed for one in (given, judged)
               if one.version == network.version):  # fmt: skip
            return None
        for network, reason in _NETWORKS:
            if judged.version == network.version and judged in network:
                return f"{address} is in {network}: {reason}"
        return None


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(address.packed[12:])
        if address in _SIX_TO_FOUR:
            return IPv4Address(address.packed[2:6])
    return address
