"""``event-gateway mcp``: tools for an assistant, by the Model Context Protocol."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_gateway.cli.client.options import KeyOption, UrlOption
from event_gateway.cli.client.output import fail
from event_gateway.cli.client.requests import FoundGateway, find_gateway

if TYPE_CHECKING:
    from event_gateway.client import AsyncGatewayClient

EXTRA = "event-gateway mcp needs the extra mcp: pip install 'event-gateway[mcp]'"
ON_A_TERMINAL = (
    "this is a server for assistants, which speak the Model Context Protocol with it over its "
    "standard input and output; docs/guides/assistants.md says how to set one up. Ctrl-C ends it."
)
ChangesOption = Annotated[
    bool,
    typer.Option(
        "--allow-changes",
        help="Also offer the tools that send something: resend_event, retry_delivery and replay.",
    ),
]


def mcp(allow_changes: ChangesOption = False, url: UrlOption = None, key: KeyOption = None) -> None:
    """Serve tools with which an assistant examines the gateway, by the Model Context Protocol.

    The assistant starts this command and speaks with it over standard input and output.
    """
    try:
        import event_gateway.cli.assistants.server  # noqa: F401  # the SDK takes a second to load
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        fail(EXTRA, 2)
    gateway = find_gateway(url, key)
    if sys.stdin.isatty():
        typer.echo(ON_A_TERMINAL, err=True)
    # Nothing is left to finish, and the thread that reads the standard input cannot be interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asyncio.run(_serve(gateway, allow_changes))


async def _serve(found: FoundGateway, allow_changes: bool) -> None:
    from event_gateway.cli.assistants.server import build_server

    async with _client(found) as gateway:
        scopes = await _scopes_of(gateway)
        await build_server(gateway, scopes, allow_changes=allow_changes).run_stdio_async()


@contextlib.asynccontextmanager
async def _client(found: FoundGateway) -> "AsyncIterator[AsyncGatewayClient]":
    import httpx

    from event_gateway.cli.client.gateway_client import TIMEOUT
    from event_gateway.client import AsyncGatewayClient

    verify = found.tls or found.url.startswith("https:")
    # The user chose this address: no proxy of the environment stands in between.
    async with httpx.AsyncClient(timeout=TIMEOUT, verify=verify, trust_env=False) as http:
        yield AsyncGatewayClient(found.url, found.key, http=http)


async def _scopes_of(gateway: "AsyncGatewayClient") -> frozenset[str] | None:
    """The scopes of the key; None while the gateway cannot be reached. Ends the command if the
    gateway refuses the key."""
    from event_gateway.cli.client.failures import refused
    from event_gateway.cli.client.place_options import place
    from event_gateway.client import GatewayError, GatewayUnreachable

    try:
        caller: Any = await gateway.show_caller()
    except GatewayUnreachable as error:
        typer.echo(f"{error}; the tools answer once it can be reached", err=True)
        return None
    except GatewayError as error:
        if error.status in (401, 403):
            fail(refused(error.status, error.problem, place()))
        return None
    return frozenset(caller["scopes"])
