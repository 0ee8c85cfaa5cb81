"""The other end of a connection, and the client behind it if it is a reverse proxy."""

import asyncio
from collections.abc import Iterable

from event_gateway.core.access.client_certificate import ClientCertificate, certificate_from_der
from event_gateway.core.access.forwarded import Client, Header
from event_gateway.core.access.forwarded_certificate import forwarded_certificate
from event_gateway.core.access.trusted_proxies import TrustedProxies

PEER = "event_gateway.peer"  # the key of the ASGI scope under which a request's Peer is
NO_PROXIES = TrustedProxies()


class Peer:
    """``address``, empty where there is none, and ``port``; ``scheme`` of the connection. What
    depends on a request takes its headers, whose names are in lower case. ``credential``: a number
    that stands for the one that the peer itself has shown last and that was valid."""

    __slots__ = (
        "_certificate",
        "_proxies",
        "_transport",
        "address",
        "credential",
        "port",
        "scheme",
    )

    def __init__(
        self, address: str = "", port: int = 0, scheme: str = "http",
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:  # fmt: skip
        self.address = address
        self.port = port
        self.credential: int | None = None
        self.scheme = scheme
        self._proxies = proxies
        self._transport: asyncio.BaseTransport | None = None  # until its certificate has been read
        self._certificate: ClientCertificate | None = None

    @classmethod
    def of(
        cls, transport: asyncio.BaseTransport, proxies: TrustedProxies, *, secure: bool
    ) -> "Peer":
        """The other end of a transport; ``secure``: it speaks TLS."""
        name = transport.get_extra_info("peername")
        address, port = (str(name[0]), int(name[1])) if isinstance(name, tuple) else ("", 0)
        peer = cls(address, port, "https" if secure else "http", proxies)
        if secure:
            peer._transport = transport
        return peer

    def client(self, headers: Iterable[Header]) -> Client:
        """Who sends a request on the connection: the peer, or a client behind it."""
        return self._proxies.client(Client(self.address, self.scheme), headers)

    def certificate(self, headers: Iterable[Header]) -> ClientCertificate | None:
        """The certificate that the client has shown: to a proxy that may say so, else in the
        handshake of this connection, where it was verified. None if there was none.

        The certificate of a proxy that speaks for its clients is never that of a client. Raises
        UnreadableCertificate.
        """
        if self._proxies.speaks_for_clients(self.address):
            return forwarded_certificate(headers)
        if self._transport is not None:
            der = self._transport.get_extra_info("peercert")
            authorities = self._transport.get_extra_info("authorities")
            self._certificate = certificate_from_der(der, authorities) if der else None
            self._transport = None
        return self._certificate
