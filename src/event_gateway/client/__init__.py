"""The Python client of the HTTP API, which needs httpx and nothing else of the gateway.

    from event_gateway.client import GatewayClient

    with GatewayClient("http://127.0.0.1:8080", key) as gateway:
        gateway.create_webhook({"id": "orders", "url": "https://…", "events": ["orders.>"]})

``GatewayClient`` blocks, ``AsyncGatewayClient`` has the same methods as coroutines. Their answers
have the types in :mod:`event_gateway.client.models`.
"""

from event_gateway.client.answers import Answer, GatewayError, GatewayUnreachable, etag_of
from event_gateway.client.asynchronous import AsyncGatewayClient, every_async
from event_gateway.client.synchronous import GatewayClient, every

__all__ = [
    "Answer",
    "AsyncGatewayClient",
    "GatewayClient",
    "GatewayError",
    "GatewayUnreachable",
    "etag_of",
    "every",
    "every_async",
]
