"""``event-gateway subscriptions``: lists and ends the subscriptions of live subscribers."""

from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_streams, complete_subscriptions
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, LimitOption, UrlOption
from event_gateway.cli.client.requests import call, quoted

app = typer.Typer(no_args_is_help=True, help="Live subscriptions: list, end.")

PATH = "/v1/subscriptions"


def _events(item: dict[str, Any]) -> str:
    return item["stream"] or " ".join(item["subjects"])


COLUMNS: Columns = {
    "ID": "id", "EVENTS": _events, "PRINCIPAL": "principal", "SINCE": "since", "SENT": "sent",
    "LAG": "lag", "DURABLE": "durable",
}  # fmt: skip


@app.command("list")
def list_subscriptions(
    stream: Annotated[
        str | None,
        typer.Option(
            help="Only subscriptions to this stream.", autocompletion=complete_streams
        ),
    ] = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """List the live subscriptions of all processes."""
    print_list(url, key, PATH, COLUMNS, as_json=as_json, limit=limit, stream=stream)


@app.command()
def end(
    subscription: Annotated[
        str,
        typer.Argument(help="The subscription's id.", autocompletion=complete_subscriptions),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """End a subscription. Its client is told, and may subscribe again: revoke its key to prevent
    that."""
    call(url, key, "DELETE", f"{PATH}/{quoted(subscription)}")
    typer.echo(f"{subscription}: ended")
