"""``event-gateway dead-letters``: what could not be delivered: look, deliver after all, delete."""

import sys
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from event_gateway.cli.client.gateway_client import (
    JsonOption,
    KeyOption,
    LimitOption,
    UrlOption,
    answer,
    ask,
    fail,
    listed,
    run,
    shown,
    table,
)
from event_gateway.cli.client.http import GatewayClient
from event_gateway.cli.client.replay_progress import carry_out, told
from event_gateway.cli.client.times import SinceOption, UntilOption, moment
from event_gateway.cli.commands.replays import NoWaitOption, TypesOption
from event_gateway.core.text.times import parse_time, rfc3339

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, look, replay, purge.")

PATH = "/v1/dead-letters"
IdArgument = Annotated[int, typer.Argument(help="The dead letter's id.")]
IdsArgument = Annotated[list[int] | None, typer.Argument(help="Ids of dead letters.")]
WebhookOption = Annotated[str | None, typer.Option(help="Only those of this webhook.")]
TypeOption = Annotated[
    str | None, typer.Option("--type", help="Only events whose type fits this pattern.")
]
ReasonOption = Annotated[
    str | None, typer.Option(help="Only those with this reason: ServerError, Expired…")
]
AllOption = Annotated[bool, typer.Option("--all", help="All there are.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only count.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


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
    """List the dead letters, the oldest first."""
    found = listed(
        url, key, PATH, limit, webhook=webhook, type=event_type, reason=reason,
        since=moment("--since", since), until=moment("--until", until),
    )  # fmt: skip
    shown(as_json, found, _many)


@app.command()
def show(letter: IdArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Show one as JSON: its event, every attempt, and the webhook as it was."""
    shown(True, ask(url, key, "GET", f"{PATH}/{letter}"), list)


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
    """Deliver dead letters after all: these ids, those of a filter, or all.

    Of a filter and of all those are left out that were replayed before.
    """
    filters = {
        "webhook": webhook,
        "types": types or None,
        "reason": reason,
        "since": moment("--since", since),
        "until": moment("--until", until),
    }
    wanted = _wanted(ids, filters, every)

    def begin(only_count: bool, wait: bool) -> dict[str, Any]:
        body = wanted | {"dry_run": only_count}
        return carry_out(url, key, f"{PATH}/replay", body, wait=wait, quiet=as_json)

    if not (ids or dry_run or yes):
        _must_ask()
        counted = begin(True, True)
        if counted["state"] != "done" or counted["matched"] == counted["skipped"]:
            told(as_json, counted)
            return
        left_out = f" ({counted['skipped']} are left out)" if counted["skipped"] else ""
        _agree(f"Replay {_letters(counted['matched'] - counted['skipped'])}{left_out}?")
    done = begin(dry_run, not no_wait)
    told(as_json, done)
    if ids and done["state"] == "done" and done["matched"] < (known := len(set(ids))):
        fail(f"{known - done['matched']} of {known} ids are of no dead letter")


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
    """Delete dead letters for ever: these ids, those of a filter, or all."""
    filters = {
        "webhook": webhook,
        "type": event_type,
        "reason": reason,
        "since": moment("--since", since),
        "until": moment("--until", until),
    }
    wanted = _wanted(ids, filters, every)
    if not (dry_run or yes):
        _must_ask()
        if not ids:  # what dies while the question is open was not counted
            wanted = wanted | {"all": None, "until": _no_later(filters["until"])}
        count = run(url, key, _purge(wanted, True))
        if count:
            _agree(f"Delete {_letters(count)} for ever?")
    purged = run(url, key, _purge(wanted, dry_run))
    shown(as_json, {"purged": purged, "dry_run": dry_run}, _purged)


def _wanted(ids: list[int] | None, filters: dict[str, Any], every: bool) -> dict[str, Any]:
    """What a request names; ends the command where that is not just one thing."""
    said = {name: one for name, one in filters.items() if one is not None}
    if sum((bool(ids), bool(said), every)) != 1:
        fail("name ids, or a filter (--webhook, --type, --reason, --since, --until), or --all", 2)
    return {"ids": ids} if ids else said or {"all": True}


def _purge(wanted: dict[str, Any], dry_run: bool) -> Callable[[GatewayClient], Awaitable[int]]:
    """Deletes, or counts, what is wanted, up to the last of it; gives how many that were."""

    async def named(client: GatewayClient) -> int:
        ids = dict.fromkeys(wanted["ids"])
        for one in ids:  # all are there before the first is deleted
            await answer(client, "GET", f"{PATH}/{one}")
        if not dry_run:
            for one in ids:
                await answer(client, "DELETE", f"{PATH}/{one}")
        return len(ids)

    async def filtered(client: GatewayClient) -> int:
        count = 0
        query = wanted | {"dry_run": dry_run}
        while True:
            page = await answer(client, "DELETE", PATH, **query)
            count += int(page["purged"])
            if page["next"] is None:
                return count
            query = query | {"cursor": page["next"]}

    return named if "ids" in wanted else filtered


def _no_later(until: str | None) -> str:
    now = rfc3339(time.time())
    return now if until is None or parse_time(until) > parse_time(now) else until


def _must_ask() -> None:
    if not sys.stdin.isatty():
        fail("there is no terminal to ask at: give --yes, or --dry-run to count", 2)


def _agree(question: str) -> None:
    if not typer.confirm(question, err=True):
        fail("nothing was done")


def _letters(count: int) -> str:
    return f"{count} dead letter{'s' if count != 1 else ''}"


def _purged(done: dict[str, Any]) -> list[str]:
    return [f"{_letters(done['purged'])} {'to delete (dry run)' if done['dry_run'] else 'deleted'}"]


def _many(letters: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            str(one["id"]),
            one["time"],
            one["webhook_id"],
            one["reason"],
            str(one["attempts"]),
            one["event_type"],
            one["event_id"],
            one["replayed_at"] or "-",
        ]
        for one in letters
    ]
    heads = ["ID", "TIME", "WEBHOOK", "REASON", "ATTEMPTS", "TYPE", "EVENT", "REPLAYED"]
    return table(heads, rows)
