"""``event-gateway deliveries``: lists a webhook's deliveries, retries and cancels them."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from event_gateway.cli.client.attempt_table import attempt_table
from event_gateway.cli.client.bulk_changes import DryRunOption, change_deliveries, change_many
from event_gateway.cli.client.completion import complete_deliveries, complete_webhooks
from event_gateway.cli.client.confirmation import YesOption
from event_gateway.cli.client.listing import Cell, print_list
from event_gateway.cli.client.options import (
    JsonOption,
    KeyOption,
    LimitOption,
    SinceOption,
    UntilOption,
    UrlOption,
)
from event_gateway.cli.client.output import Line, fail, fields, print_answer
from event_gateway.cli.client.requests import call, quoted
from event_gateway.cli.client.times import time_range
from event_gateway.core.webhook.delivery import Status

app = typer.Typer(no_args_is_help=True, help="Deliveries: list, show, retry, cancel.")

WebhookArgument = Annotated[
    str, typer.Argument(help="The webhook's id.", autocompletion=complete_webhooks)
]
EventArgument = Annotated[
    str, typer.Argument(help="The event's id.", autocompletion=complete_deliveries)
]
OneWebhookArgument = Annotated[
    str | None,
    typer.Argument(
        help="The webhook's id; none: the deliveries of all.", autocompletion=complete_webhooks
    ),
]
TypeOption = Annotated[
    str | None, typer.Option("--type", help="Only deliveries of events of this type, or pattern.")
]
StatusOption = Annotated[Status | None, typer.Option(help="Only deliveries of this status.")]
SomeEventArgument = Annotated[
    str | None,
    typer.Argument(
        help="The event's id; none: all deliveries that the options select.",
        autocompletion=complete_deliveries,
    ),
]
StatusesOption = Annotated[
    list[Status] | None, typer.Option("--status", help="All of this status; repeatable.")
]
AllOption = Annotated[
    bool, typer.Option("--all", help="All waiting deliveries: those of status pending or retrying.")
]
SourceOption = Annotated[
    str | None, typer.Option(help="The event's source, if several sources have events of this id.")
]

_COLUMNS: dict[str, Cell] = {
    "UPDATED": "updated_at", "STATUS": "status", "ATTEMPTS": "attempts", "EVENT": "event_id",
    "SOURCE": "source", "LAST ERROR": "last_error",
}  # fmt: skip


@app.command("list")
def list_deliveries(
    webhook: OneWebhookArgument = None,
    status: StatusOption = None,
    pattern: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the deliveries of a webhook, or of all, the last changed first."""
    print_list(
        url, key, "/v1/deliveries", _COLUMNS if webhook else {"WEBHOOK": "webhook_id"} | _COLUMNS,
        as_json=as_json, limit=limit, webhook=webhook, type=pattern,
        status=status and status.value, **time_range(since, until),
    )  # fmt: skip


@app.command()
def show(
    webhook: WebhookArgument, event: EventArgument, source: SourceOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Show a delivery: its status and every attempt."""
    print_answer(as_json, call(url, key, "GET", _path(webhook, event), source=source), _details)


@app.command()
def retry(
    webhook: WebhookArgument,
    event: SomeEventArgument = None,
    source: SourceOption = None,
    statuses: StatusesOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Attempt pending deliveries at once; start a new run of those that have ended.

    One by its event, or many by status and time. Of ended deliveries, the latest thousand that
    changed are found; replays have no such limit.
    """
    selection = _selection(webhook, event, source, statuses, time_range(since, until), every)
    _change("retry", webhook, event, source, selection, dry_run, yes, url, key, as_json)


@app.command()
def cancel(
    webhook: WebhookArgument,
    event: SomeEventArgument = None,
    source: SourceOption = None,
    statuses: StatusesOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel pending deliveries. They do not become dead letters.

    One by its event, or many by status and time.
    """
    selection = _selection(webhook, event, source, statuses, time_range(since, until), every)
    _change("cancel", webhook, event, source, selection, dry_run, yes, url, key, as_json)


def _selection(
    webhook: str,
    event: str | None,
    source: str | None,
    statuses: list[Status] | None,
    times: dict[str, str | None],
    every: bool,
) -> dict[str, Any] | None:
    """Which deliveries a command is about, for the request; None: that of the event. Ends the
    command if it does not say which in one way."""
    given: dict[str, Any] = {name: value for name, value in times.items() if value is not None}
    if statuses:
        given["status"] = [status.value for status in statuses]
    if sum((event is not None, bool(given), every)) != 1:
        fail("name an event, or which deliveries (--status, --since, --until), or --all", 2)
    if event is not None:
        return None
    if source is not None:
        fail("--source is for the deliveries of one event", 2)
    return {"webhook": webhook} | given


def _change(
    action: str,
    webhook: str,
    event: str | None,
    source: str | None,
    selection: dict[str, Any] | None,
    dry_run: bool,
    yes: bool,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    if selection is not None:
        work = change_deliveries(action, selection, quiet=as_json)
        change_many(url, key, action, "delivery", work,
                    dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip
        return
    if dry_run:
        fail("--dry-run is for many deliveries: give --all, or --status, --since, --until", 2)
    path = f"{_path(webhook, event or '')}/{action}"
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
