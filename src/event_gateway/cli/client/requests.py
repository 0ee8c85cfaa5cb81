"""Requests of commands to a running gateway. Any failure ends the command with one line."""

import asyncio
import json
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import typer

from event_gateway.cli.client.authorities import context_for
from event_gateway.cli.client.key_file import key_in
from event_gateway.cli.client.output import fail
from event_gateway.transport.target import parse_target

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient

DATA_DIR = Path("data")  # the default of ``serve``
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
            fail(str(error))
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
    """The content of an answer. An error ends the command with the problem's ``detail``."""
    if status < 400:
        return content
    detail = content.get("detail") if isinstance(content, dict) else None
    fail(detail or f"the gateway answered {status}")


def with_query(path: str, query: Mapping[str, Any]) -> str:
    """A path with these parameters. Those that are None are left out."""
    parameters = "&".join(
        f"{name}={quoted(str(value).lower() if isinstance(value, bool) else str(value))}"
        for name, value in query.items()
        if value is not None
    )
    return f"{path}?{parameters}" if parameters else path


def quoted(text: str) -> str:
    """A name, an id or a value, percent-encoded for a path or a query."""
    return quote(text, safe="")


class FoundGateway(NamedTuple):
    """Where a gateway is, with which key, and whom to trust (None for plain HTTP)."""

    url: str
    key: str
    tls: ssl.SSLContext | None


def find_gateway(url: str | None, key: str | None) -> FoundGateway:
    """URL and key of the gateway: those given, or the key in the file of EVENT_GATEWAY_KEY_FILE,
    else those of a gateway that runs with its data in ``./data``, whose admin key is used only for
    its own URL. Ends the command without a key."""
    gateway = locate_gateway(url, key, endpoints_in(DATA_DIR), DATA_DIR)
    if not gateway.key:
        fail(f"no key for {gateway.url}: give --key or --key-file, or set EVENT_GATEWAY_KEY", 2)
    return gateway


def locate_gateway(
    url: str | None, key: str | None, endpoints: Mapping[str, Any], data_dir: Path
) -> FoundGateway:
    """As :func:`find_gateway`, of a gateway with its data in ``data_dir``. The key is empty if
    there is none. ``endpoints``: what :func:`endpoints_in` returns for that directory."""
    local, certificate = endpoints.get("http"), endpoints.get("certificate")
    url = url or local or DEFAULT_URL
    try:
        parse_target(url)
    except ValueError as error:
        fail(f"--url: {error}", 2)
    if not key and (file := os.environ.get("EVENT_GATEWAY_KEY_FILE")):
        key = key_in("EVENT_GATEWAY_KEY_FILE", Path(file))
    if not key and url.rstrip("/") == local and os.access(data_dir / "admin.key", os.R_OK):
        key = (data_dir / "admin.key").read_text().strip()
    if key and not (key.isascii() and key.isprintable()):
        fail("--key: contains characters that no key contains", 2)
    own = certificate if url.rstrip("/") == local else None
    return FoundGateway(url, key or "", context_for(url, own))


def endpoints_in(data_dir: Path) -> dict[str, Any]:
    """The addresses of the gateway that runs with this data directory; empty if none is known."""
    try:
        places = json.loads((data_dir / "endpoints.json").read_text())
        return {**places, "http": str(places["http"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
