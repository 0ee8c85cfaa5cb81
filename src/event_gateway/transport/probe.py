"""Opens a connection to a receiver as a delivery would, and closes it without a request."""

import asyncio
import ssl
from typing import NamedTuple

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.connection import HttpConnection
from event_gateway.transport.dialer import Dialer
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.exchange import Failure, OutgoingExchange, Response
from event_gateway.transport.proxy import Proxy
from event_gateway.transport.resolver import Resolver
from event_gateway.transport.target import Target
from event_gateway.transport.tls_files import HTTP, Identity, Trust

# Seconds in which a receiver may refuse the client certificate, or that there is none: with TLS 1.3
# it does so after the client's handshake.
LATE_REFUSAL = 0.3


class Reached(NamedTuple):
    """A connection was open. ``certificate_ends_at``: the end of the receiver's certificate, in
    seconds since the epoch; None without TLS."""

    certificate_ends_at: float | None


class Probe:
    """Connects under the rules of ``guard``, through ``proxy`` if that is not None."""

    def __init__(self, guard: EgressGuard, *, proxy: Proxy | None, trust: Trust) -> None:
        self._guard = guard
        self._proxy = proxy
        self._trust = trust
        self._resolver = Resolver()
        self._context = ssl.create_default_context()
        self._context.set_alpn_protocols(HTTP)

    async def reach(
        self, target: Target, timeout: float, identity: Identity | None
    ) -> Reached | Failure:
        """What a delivery meets before its request: name, egress rules, TCP and TLS, within
        ``timeout`` seconds. ``identity`` as :meth:`.HttpClient.post` takes it."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Reached | Failure] = loop.create_future()

        def settle(outcome: Reached | Failure) -> None:
            if not result.done():
                result.set_result(outcome)

        def failed(failure: Response | Failure) -> None:
            assert isinstance(failure, Failure)  # no request is sent, so there is no response
            settle(failure)

        def opened(connection: HttpConnection, _exchange: OutgoingExchange) -> None:
            reached = Reached(connection.certificate_ends_at)
            if reached.certificate_ends_at is None:
                settle(reached)
            else:
                loop.call_later(LATE_REFUSAL, settle, reached)
            result.add_done_callback(lambda _result: connection.abort())

        def lost(_connection: HttpConnection) -> None:
            why = f"{target.host} closes the connection: it may ask for a client certificate, or "
            why += "refuse that of the webhook"
            settle(Failure(AttemptErrorType.TLS_ERROR, why))

        def make() -> HttpConnection:
            return HttpConnection(0, _no_exchange_ends, lost)

        dialer = Dialer(
            self._guard, self._context, make, opened, resolver=self._resolver, proxy=self._proxy
        )
        dialer.dial(
            OutgoingExchange(
                target, b"", timeout, failed, identity=identity or self._trust.identity()
            )
        )
        try:
            return await result
        finally:
            await dialer.close()


def _no_exchange_ends(
    _connection: HttpConnection, _exchange: OutgoingExchange, _result: object
) -> None:
    pass
