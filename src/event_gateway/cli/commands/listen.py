"""``event-gateway listen``: prints live events, or forwards them to a local receiver."""

from typing import Annotated, Any

import typer

from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail
from event_gateway.cli.commands.streams import (
    EndOption,
    ExpressionOption,
    FilterOption,
    event_line,
    selection_of,
)
from event_gateway.cli.commands.webhook_changes import patterns_in
from event_gateway.transport.target import parse_target


def listen(
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[PATTERN]...", help="More patterns.")
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option(help="Patterns of subjects: * one token, > the rest; separated by commas."),
    ] = None,
    forward_to: Annotated[
        str | None,
        typer.Option(
            help="Post each event to this receiver, signed as deliveries are: localhost:3000/hook."
        ),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="EVENT_GATEWAY_LISTEN_SECRET",
            help="The signing key (whsec_…). Default: one that stays the same in all runs.",
        ),
    ] = None,
    filters: FilterOption = None,
    expression: ExpressionOption = None,
    limit: EndOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print live events, or post each to a local receiver and print the answer.

    Events are posted in order, each once; on a terminal r posts the last one again. Events that
    come while this does not run, or the gateway does not, are not forwarded.
    """
    from event_gateway.cli.client.live_events import follow

    patterns = patterns_in([*(events or []), *(more or [])])
    if not patterns:
        fail("give --events: patterns of subjects, such as 'user.>'", 2)
    request: dict[str, Any] = {"subjects": patterns} | selection_of(filters, expression)
    if forward_to is None:

        async def show(frame: dict[str, Any]) -> None:
            typer.echo(event_line(frame, as_json=as_json))

        follow(url, key, request, show, limit)
        return
    endpoint = forward_to if "://" in forward_to else f"http://{forward_to}"
    _forward(url, key, request, endpoint, secret, limit, as_json=as_json)


def _forward(
    url: str | None,
    key: str | None,
    request: dict[str, Any],
    endpoint: str,
    secret: str | None,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    from event_gateway.cli.client.live_events import follow
    from event_gateway.cli.listen.forwarder import Forwarder
    from event_gateway.cli.listen.secret import kept_secret
    from event_gateway.cli.listen.session import ListenSession
    from event_gateway.core.webhook.signing_keys import check_keys

    try:
        parse_target(endpoint)
    except ValueError as error:
        fail(f"--forward-to: {error}", 2)
    signing = kept_secret() if secret is None else secret
    try:
        check_keys(signing)
    except ValueError as error:
        fail(f"--secret: {error}", 2)
    session: list[ListenSession] = []

    def begun() -> None:
        session.append(ListenSession(Forwarder(endpoint, signing), as_json=as_json))

    follow(
        url, key, request, lambda frame: session[0].forward(frame), limit,
        begun=begun, typed=lambda keys: session[0].typed(keys),
    )  # fmt: skip
