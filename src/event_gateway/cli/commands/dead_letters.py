"""``event-gateway dead-letters``: lists, replays and deletes dead letters."""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_gateway.cli.client.attempt_table import attempt_table
from event_gateway.cli.client.completion import (
    complete_dead_letters,
    complete_types,
    complete_webhooks,
)
from event_gateway.cli.client.confirmation import YesOption, confirm, require_terminal
from event_gateway.cli.client.listing import Columns, print_item, print_list
from event_gateway.cli.client.options import (
    JsonOption,
    KeyOption,
    LimitOption,
    SinceOption,
    UntilOption,
    UrlOption,
)
from event_gateway.cli.client.output import (
    Line,
    fail,
    fields,
    indented,
    print_answer,
)
from event_gateway.cli.client.progress import ProgressBar
from event_gateway.cli.client.replay_progress import print_result, start_replay
from event_gateway.cli.client.requests import request_json, run_with_client
from event_gateway.cli.client.times import time_range
from event_gateway.cli.commands.replays import NoWaitOption, TypesOption
from event_gateway.core.text.times import parse_time, rfc3339

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, replay, purge.")

PATH = "/v1/dead-letters"
COLUMNS: Columns = {
    "ID": "id", "TIME": "time", "WEBHOOK": "webhook_id", "REASON": "reason", "ATTEMPTS": "attempts",
    "TYPE": "event_type", "EVENT": "event_id", "REPLAYED": "replayed_at",
}  # fmt: skip
IdArgument = Annotated[
    int, typer.Argument(help="The dead letter's id.", autocompletion=complete_dead_letters)
]
IdsArgument = Annotated[
    list[int] | None,
    typer.Argument(help="Ids of dead letters.", autocompletion=complete_dead_letters),
]
WebhookOption = Annotated[
    str | None,
    typer.Option(help="Only dead letters of this webhook.", autocompletion=complete_webhooks),
]
TypeOption = Annotated[
    str | None,
    typer.Option(
        "--type", help="Only events whose type fits this pattern.", autocompletion=complete_types
    ),
]
ReasonOption = Annotated[
    str | None, typer.Option(help="Only with this reason, such as ServerError or Expired.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All dead letters.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only count.")]


@app.command("list")
def list_dead_letters(
    webhook: WebhookOption = None,
    event_type: TypeOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the dead letters, the newest first."""
    print_list(
        url, key, PATH, COLUMNS, as_json=as_json, limit=limit,
        webhook=webhook, type=event_type, reason=reason, **time_range(since, until),
    )  # fmt: skip


@app.command()
def show(
    letter: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a dead letter: its event and every attempt; as JSON also the webhook as it was.

    Where there is no terminal it is JSON.
    """
    print_item(url, key, f"{PATH}/{letter}", _details, as_json=as_json)


@app.command()
def replay(
    ids: IdsArgument = None,
    webhook: WebhookOption = None,
    types: TypesOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    no_wait: NoWaitOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver dead letters again: by id, by a filter, or all.

    A filter and --all leave out dead letters that were replayed before.
    """
    filters = {
        "webhook": webhook,
        "types": types or None,
        "reason": reason,
        **time_range(since, until),
    }
    chosen = _chosen(ids, filters, every)

    def start(only_count: bool, wait: bool) -> dict[str, Any]:
        body = chosen | {"dry_run": only_count}
        return start_replay(url, key, f"{PATH}/replay", body, wait=wait, quiet=as_json)

    if not (ids or dry_run or yes):
        require_terminal()
        counted = start(True, True)
        if counted["state"] != "done" or counted["matched"] == counted["skipped"]:
            print_result(as_json, counted)
            return
        left_out = f" ({counted['skipped']} are left out)" if counted["skipped"] else ""
        confirm(f"Replay {_dead_letters(counted['matched'] - counted['skipped'])}{left_out}?")
    result = start(dry_run, not no_wait)
    print_result(as_json, result)
    if ids and result["state"] == "done" and result["matched"] < (given := len(set(ids))):
        fail(f"there are no dead letters for {given - result['matched']} of {given} ids")


@app.command()
def purge(
    ids: IdsArgument = None,
    webhook: WebhookOption = None,
    event_type: TypeOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete dead letters for ever: by id, by a filter, or all."""
    filters = {
        "webhook": webhook,
        "type": event_type,
        "reason": reason,
        **time_range(since, until),
    }
    chosen = _chosen(ids, filters, every)
    count: int | None = None
    if not (dry_run or yes):
        require_terminal()
        if not ids:  # delete no dead letter that is not in the count
            chosen = chosen | {"all": None, "until": _no_later(filters["until"])}
        count = run_with_client(url, key, _purge(chosen, True, None, quiet=as_json))
        if count:
            confirm(f"Delete {_dead_letters(count)} for ever?")
    work = _purge(chosen, dry_run, count, quiet=as_json)
    purged = run_with_client(url, key, work)
    print_answer(as_json, {"purged": purged, "dry_run": dry_run}, _purged)


def _chosen(ids: list[int] | None, filters: dict[str, Any], every: bool) -> dict[str, Any]:
    """The members of a request. Ends the command unless there are ids, or filters, or --all."""
    given = {name: value for name, value in filters.items() if value is not None}
    if sum((bool(ids), bool(given), every)) != 1:
        fail("name ids, or a filter (--webhook, --type, --reason, --since, --until), or --all", 2)
    return {"ids": ids} if ids else given or {"all": True}


def _purge(
    chosen: dict[str, Any], dry_run: bool, total: int | None, *, quiet: bool
) -> Callable[["GatewayClient"], Awaitable[int]]:
    """What deletes or counts the chosen dead letters; returns how many there were. ``total``: how
    many there should be, for the progress bar."""

    async def by_id(client: "GatewayClient") -> int:
        ids = dict.fromkeys(chosen["ids"])
        for letter_id in ids:  # deletes none unless all exist
            await request_json(client, "GET", f"{PATH}/{letter_id}")
        if not dry_run:
            with ProgressBar("deleted", len(ids), quiet=quiet) as bar:
                for number, letter_id in enumerate(ids, 1):
                    await request_json(client, "DELETE", f"{PATH}/{letter_id}")
                    bar.show(number, number)
        return len(ids)

    async def by_filter(client: "GatewayClient") -> int:
        count = 0
        query = chosen | {"dry_run": dry_run}
        with ProgressBar("counted" if dry_run else "deleted", total, quiet=quiet) as bar:
            while True:
                page = await request_json(client, "DELETE", PATH, **query)
                count += int(page["purged"])
                if page["next"] is None:
                    return count
                query = query | {"cursor": page["next"]}
                bar.show(count, count)

    return by_id if "ids" in chosen else by_filter


def _no_later(until: str | None) -> str:
    now = rfc3339(time.time())
    return now if until is None or parse_time(until) > parse_time(now) else until


def _details(letter: dict[str, Any]) -> list[Line]:
    run = letter["run"]
    lines: list[Line] = [*fields({
        "id": letter["id"],
        "webhook": letter["webhook_id"],
        "endpoint": letter["url"],
        "time": letter["time"],
        "reason": letter["reason"],
        "last error": letter["last_error"],
        "event": letter["event_id"],
        "type": letter["event_type"],
        "source": letter["source"],
        "place": f"{letter['stream']} {letter['sequence']}",
        "run": run if run > 1 else None,
        "replayed": letter["replayed_at"],
    })]  # fmt: skip
    return [*lines, *attempt_table(letter["attempts"]), "", "event:", *indented(letter["event"])]


def _dead_letters(count: int) -> str:
    return f"{count} dead letter{'s' if count != 1 else ''}"


def _purged(result: dict[str, Any]) -> list[str]:
    done = "to delete (dry run)" if result["dry_run"] else "deleted"
    return [f"{_dead_letters(result['purged'])} {done}"]
