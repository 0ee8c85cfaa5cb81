"""The other end of a connection: its address, and the certificate that it has shown."""

import asyncio

from event_gateway.core.access.client_certificate import ClientCertificate, certificate_from_der
from event_gateway.core.access.forwarded import Client

PEER = "event_gateway.peer"  # the key of the ASGI scope under which a request's Peer is


class Peer:
    """``client``: its address, empty where there is none, and the scheme of the connection;
    ``address`` and ``port``. It may be a proxy: docs/decisions/0038."""

    __slots__ = ("_certificate", "_transport", "client", "port")

    def __init__(self, transport: asyncio.BaseTransport, *, secure: bool) -> None:
        name = transport.get_extra_info("peername")
        known = isinstance(name, tuple)
        self.client = Client(str(name[0]) if known else "", "https" if secure else "http")
        self.port = int(name[1]) if known else 0
        self._transport = transport if secure else None  # until its certificate has been read
        self._certificate: ClientCertificate | None = None

    @property
    def address(self) -> str:
        """The address."""
        return self.client.address

    @property
    def certificate(self) -> ClientCertificate | None:
        """The certificate that was shown in the handshake, and verified; None if there was none.
        Raises UnreadableCertificate."""
        if self._transport is not None:
            der = self._transport.get_extra_info("peercert")
            self._certificate = certificate_from_der(der) if der else None
            self._transport = None
        return self._certificate
