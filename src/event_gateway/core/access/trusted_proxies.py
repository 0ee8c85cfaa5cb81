"""Reverse proxies that are believed when they say who their clients are."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from event_gateway.core.access.forwarded import AddressHeader, Client, Header, client_behind
from event_gateway.core.text.addresses import read_address

MAX_KNOWN = 4096  # addresses whose answer is kept


class TrustedProxies:
    """``networks`` (CIDR) of the proxies; ``header``: in which they name their clients;
    ``certificates``: whether they tell which certificates those have shown. A reload calls
    :meth:`configure`. Headers of anybody else count for nothing."""

    def __init__(
        self,
        networks: Sequence[str] = (),
        header: AddressHeader = "x-forwarded-for",
        certificates: bool = False,
    ) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._certificates = False
        self.configure(networks, header, certificates)

    def configure(self, networks: Sequence[str], header: AddressHeader, certificates: bool) -> bool:
        """Trusts these from now on; whether others than before tell certificates."""
        former = self._networks, self._certificates
        self._networks = [ip_network(text) for text in networks]
        self._header: AddressHeader = header
        self._certificates = certificates
        self._known: dict[str, bool] = {}
        return former != (self._networks, self._certificates)

    def trusts(self, address: str) -> bool:
        """Whether the address is one of a proxy."""
        if not self._networks:
            return False
        known = self._known.get(address)
        if known is None:
            parsed = read_address(address)
            known = parsed is not None and any(parsed in network for network in self._networks)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[address] = known
        return known

    def client(self, peer: Client, headers: Iterable[Header]) -> Client:
        """Who sends a request that came on a connection from ``peer``."""
        if not self.trusts(peer.address):
            return peer
        return client_behind(peer, headers, self._header, self.trusts)

    def speaks_for_clients(self, address: str) -> bool:
        """Whether the address is one of a proxy that tells which certificates were shown to it."""
        return self._certificates and self.trusts(address)
