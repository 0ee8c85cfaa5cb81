"""``event-gateway deliveries``: lists a webhook's deliveries, retries and cancels them."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from event_gateway.cli.client.attempt_table import attempt_table
from event_gateway.cli.client.completion import complete_webhooks
from event_gateway.cli.client.options import (
    JsonOption,
    KeyOption,
    LimitOption,
    SinceOption,
    UntilOption,
    UrlOption,
)
from event_gateway.cli.client.output import Line, fields, print_answer, table
from event_gateway.cli.client.requests import call, list_items, quoted
from event_gateway.cli.client.times import time_range
from event_gateway.core.webhook.delivery import Status

app = typer.Typer(no_args_is_help=True, help="Deliveries: list, show, retry, cancel.")

WebhookArgument = Annotated[
    str, typer.Argument(help="The webhook's id.", autocompletion=complete_webhooks)
]
EventArgument = Annotated[str, typer.Argument(help="The event's id.")]
StatusOption = Annotated[Status | None, typer.Option(help="Only deliveries of this status.")]
SourceOption = Annotated[
    str | None, typer.Option(help="The event's source, if several sources have events of this id.")
]


@app.command("list")
def list_deliveries(
    webhook: WebhookArgument,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the deliveries of a webhook, the last changed first."""
    deliveries = list_items(
        url, key, f"/v1/webhooks/{quoted(webhook)}/deliveries", limit,
        status=status and status.value, **time_range(since, until),
    )  # fmt: skip
    print_answer(as_json, deliveries, _rows)


@app.command()
def show(
    webhook: WebhookArgument, event: EventArgument, source: SourceOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Show a delivery: its status and every attempt."""
    print_answer(as_json, call(url, key, "GET", _path(webhook, event), source=source), _details)


@app.command()
def retry(
    webhook: WebhookArgument, event: EventArgument, source: SourceOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Attempt a pending delivery at once; start a new run of one that has ended."""
    path = f"{_path(webhook, event)}/retry"
    print_answer(as_json, call(url, key, "POST", path, source=source), _changed)


@app.command()
def cancel(
    webhook: WebhookArgument, event: EventArgument, source: SourceOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Cancel a pending delivery. It does not become a dead letter."""
    path = f"{_path(webhook, event)}/cancel"
    print_answer(as_json, call(url, key, "POST", path, source=source), _changed)


def _path(webhook: str, event: str) -> str:
    return f"/v1/deliveries/{quoted(webhook)}/{quoted(event)}"


def _changed(delivery: dict[str, Any]) -> list[str]:
    run = f", run {delivery['run']}" if delivery["run"] > 1 else ""
    return [f"{delivery['event_id']} to {delivery['webhook_id']}: {delivery['status']}{run}"]


def _details(delivery: dict[str, Any]) -> Sequence[Line]:
    run, cause, attempts = delivery["run"], delivery["repeats"], delivery["attempts"]
    lines = fields({
        "status": delivery["status"],
        "source": delivery["source"],
        "run": f"{run} ({cause})" if cause else str(run),
        "updated": delivery["updated_at"],
        "next attempt": delivery["next_attempt_at"],
        "last error": delivery["last_error"],
        "not retried": attempts[-1].get("not_retried") if attempts else None,
        "dead letter": delivery["dead_letter"],
    })  # fmt: skip
    return [*lines, *attempt_table(attempts)]


def _rows(deliveries: list[dict[str, Any]]) -> list[Line]:
    rows = [
        [
            delivery["updated_at"],
            delivery["status"],
            str(delivery["attempts"]),
            delivery["event_id"],
            delivery["source"],
            delivery["last_error"] or "-",
        ]
        for delivery in deliveries
    ]
    return table(["UPDATED", "STATUS", "ATTEMPTS", "EVENT", "SOURCE", "LAST ERROR"], rows)
