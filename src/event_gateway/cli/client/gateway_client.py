"""What the commands share that ask a running gateway: where it is, its answers, how they look."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn
from urllib.parse import quote

import typer

from event_gateway.cli.client.http import GatewayClient
from event_gateway.transport.target import parse_target

UrlOption = Annotated[
    str | None,
    typer.Option("--url", envvar="EVENT_GATEWAY_URL", help="The gateway's address."),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", envvar="EVENT_GATEWAY_KEY", help="A key of its API."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LimitOption = Annotated[int, typer.Option(min=1, help="At most so many.")]

LOCAL = Path("data")  # where ``serve`` keeps its data unless told otherwise
URL = "http://127.0.0.1:8080"
PAGE = 1000  # items asked for at a time, which is as many as the API gives


def fail(detail: str, status: int = 1) -> NoReturn:
    """Ends the command with one line and an exit status: 1 failed, 2 wrong usage."""
    typer.echo(detail, err=True)
    raise typer.Exit(status)


def listed(
    url: str | None, key: str | None, path: str, limit: int | None = None, **query: Any
) -> list[Any]:
    """The items of a list, page by page: at most ``limit``, or all there are."""

    async def pages(client: GatewayClient) -> list[Any]:
        items: list[Any] = []
        while True:
            size = PAGE if limit is None else min(PAGE, limit - len(items))
            page = await answer(client, "GET", path, limit=size, **query)
            items += page["items"]
            if page["next"] is None or len(items) == limit:
                return items
            query["cursor"] = page["next"]

    found: list[Any] = run(url, key, pages)
    return found


def ask(
    url: str | None, key: str | None, method: str, path: str, body: Any = None, **query: Any
) -> Any:
    """The decoded answer to one request. Whatever else happens ends the command."""

    async def once(client: GatewayClient) -> Any:
        return await answer(client, method, path, body, **query)

    return run(url, key, once)


def run(url: str | None, key: str | None, work: Callable[[GatewayClient], Awaitable[Any]]) -> Any:
    """Runs a command's requests with a client of the gateway that is meant."""

    async def main() -> Any:
        client = GatewayClient(*gateway_of(url, key))
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


async def answer(
    client: GatewayClient, method: str, path: str, body: Any = None, **query: Any
) -> Any:
    """One answer of a client; ends the command with the problem's words where it is an error."""
    said = "&".join(
        f"{name}={quote(str(value).lower() if isinstance(value, bool) else str(value), safe='')}"
        for name, value in query.items()
        if value is not None
    )
    return checked(*await client.request(method, f"{path}?{said}" if said else path, body))


def checked(status: int, content: Any) -> Any:
    """The content of an answer; ends the command where it is an error."""
    if status < 400:
        return content
    detail = content.get("detail") if isinstance(content, dict) else None
    fail(detail or f"the gateway answered {status}")


def part(text: str) -> str:
    """A name or an id as a part of a path."""
    return quote(text, safe="")


def shown(as_json: bool, content: Any, people: Callable[[Any], Iterable[str]]) -> None:
    """Prints an answer, as JSON or as lines for people, without what would move the cursor."""
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    for line in people(content):
        typer.echo("".join(char if char.isprintable() else "?" for char in line))


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of columns, none cut off: they may go to another program."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *rows]
    ]


def gateway_of(url: str | None, key: str | None) -> tuple[str, str]:
    """Address and key. The key of a gateway that runs here is used for that one only."""
    try:
        local = str(json.loads((LOCAL / "endpoints.json").read_text())["http"])
    except (OSError, ValueError, KeyError, TypeError):
        local = None
    url = url or local or URL
    try:
        parse_target(url)
    except ValueError as error:
        fail(f"--url: {error}", 2)
    if not key and url.rstrip("/") == local and os.access(LOCAL / "admin.key", os.R_OK):
        key = (LOCAL / "admin.key").read_text().strip()
    if not key:
        fail(f"no key for {url}: give --key, or set EVENT_GATEWAY_KEY", 2)
    if not (key.isascii() and key.isprintable()):
        fail("--key: holds what no key holds", 2)
    return url, key
