"""Requests of commands to a running gateway. Any failure ends the command with one line."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from event_gateway.cli.client.authorities import context_for
from event_gateway.cli.client.failures import check_runs, no_key, refused, unreachable
from event_gateway.cli.client.output import fail
from event_gateway.cli.client.place_options import place
from event_gateway.transport.target import parse_target

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient

DEFAULT_URL = "http://127.0.0.1:8080"
PAGE_SIZE = 1000  # the most items that the API returns at a time


def call(
    url: str | None, key: str | None, method: str, path: str, body: Any = None, **query: Any
) -> Any:
    """The decoded answer to one request. ``url`` and ``key`` as :func:`find_gateway` takes them."""

    async def work(client: "GatewayClient") -> Any:
        return await request_json(client, method, path, body, **query)

    return run_with_client(url, key, work)


def list_items(
    url: str | None, key: str | None, path: str, limit: int | None = None, **query: Any
) -> list[Any]:
    """The items of a list, read page by page: at most ``limit``, or all."""

    async def work(client: "GatewayClient") -> list[Any]:
        return await items_of(client, path, limit, **query)

    items: list[Any] = run_with_client(url, key, work)
    return items


async def items_of(
    client: "GatewayClient", path: str, limit: int | None = None, **query: Any
) -> list[Any]:
    """As :func:`list_items`, with a client."""
    items: list[Any] = []
    while True:
        size = PAGE_SIZE if limit is None else min(PAGE_SIZE, limit - len(items))
        page = await request_json(client, "GET", path, limit=size, **query)
        items += page["items"]
        if page["next"] is None or len(items) == limit:
            return items
        query["cursor"] = page["next"]


def run_with_client(
    url: str | None, key: str | None, work: "Callable[[GatewayClient], Awaitable[Any]]"
) -> Any:
    """The result of ``work``, which makes several requests with one client."""
    from event_gateway.cli.client.gateway_client import GatewayClient

    async def main() -> Any:
        client = GatewayClient(*find_gateway(url, key))
        try:
            return await work(client)
        except ConnectionError as error:
            fail(unreachable(str(error), place()))
        finally:
            await client.close()

    try:
        return asyncio.run(main())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def request_json(
    client: "GatewayClient", method: str, path: str, body: Any = None, **query: Any
) -> Any:
    """The decoded answer to one request. Members of ``query`` that are None are left out."""
    return content_or_fail(*await client.request(method, with_query(path, query), body))


def content_or_fail(status: int, content: Any) -> Any:
    """The content of an answer. An error ends the command with the problem's ``detail``: as wrong
    usage where the gateway names values of the request that are not valid."""
    if status < 400:
        return content
    wrong = status == 422 and isinstance(content, dict) and "errors" in content
    fail(refused(status, content, place()), 2 if wrong else 1)


def with_query(path: str, query: Mapping[str, Any]) -> str:
    """A path with these parameters. Those that are None are left out; a list is repeated."""
    parameters = "&".join(
        f"{name}={quoted(str(each).lower() if isinstance(each, bool) else str(each))}"
        for name, value in query.items()
        for each in (value if isinstance(value, list) else [value])
        if each is not None
    )
    return f"{path}?{parameters}" if parameters else path


def quoted(text: str) -> str:
    """A name, an id or a value, percent-encoded for a path or a query."""
    from event_gateway.client.requests import in_path

    return in_path(text)


class FoundGateway(NamedTuple):
    """Where a gateway is, with which key, and whom to trust (None for plain HTTP)."""

    url: str
    key: str
    tls: ssl.SSLContext | None


def find_gateway(url: str | None, key: str | None) -> FoundGateway:
    """The gateway with this URL and key, which :mod:`place` has found. Ends the command where no
    gateway runs, or without a key."""
    gateway = locate_gateway(url, key)
    if url is None:
        check_runs(place(), gateway.url)
    if not gateway.key:
        fail(no_key(gateway.url, place()), 2)
    return gateway


def locate_gateway(url: str | None, key: str | None) -> FoundGateway:
    """As :func:`find_gateway`, of a gateway that may not run. The key is empty if there is none."""
    url = url or DEFAULT_URL
    try:
        parse_target(url)
    except ValueError as error:
        fail(f"--url: {error}", 2)
    if key and not (key.isascii() and key.isprintable()):
        fail("--key: contains characters that no key contains", 2)
    return FoundGateway(url, key or "", context_for(url, place().ca, place().certificate))
