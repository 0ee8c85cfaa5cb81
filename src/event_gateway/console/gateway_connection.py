"""The connections of a console to its gateway."""

import ssl
from pathlib import Path

import httpx

from event_gateway.client import AsyncGatewayClient
from event_gateway.console.settings import ConsoleSettings

TIMEOUT = 30.0  # seconds
_END = "-----END CERTIFICATE-----\n"


class GatewayConnection:
    """One pool of connections, which the requests of all users share; each has its own key."""

    def __init__(self, settings: ConsoleSettings) -> None:
        """Raises OSError if a file of the settings cannot be used."""
        self._url = settings.gateway_url
        self._http = httpx.AsyncClient(
            verify=_context(settings),
            timeout=TIMEOUT,
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            trust_env=False,  # a proxy would see the keys of all users
        )

    def client(self, key: str) -> AsyncGatewayClient:
        """A client with the key of a user."""
        return AsyncGatewayClient(self._url, key, http=self._http)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()


def _context(settings: ConsoleSettings) -> ssl.SSLContext | bool:
    if not settings.gateway_url.startswith("https:"):
        return False
    if settings.ca is not None or settings.certificate is None:
        context = ssl.create_default_context(cafile=settings.ca)
    else:
        # The gateway of this machine: its certificate, whatever name that is for.
        leaf, end, _ = Path(settings.certificate).read_text("latin-1").partition(_END)
        context = ssl.create_default_context(cadata=leaf + end)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = False
    if settings.client_cert is not None:
        try:
            context.load_cert_chain(settings.client_cert, settings.client_key)
        except ssl.SSLError as error:  # it is an OSError that names no file
            raise OSError(f"{settings.client_cert} cannot be used: {error.reason}") from error
    return context
