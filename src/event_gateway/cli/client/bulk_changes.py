"""Changes of many webhooks or deliveries: counted first, asked about, and shown as they go on."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_gateway.cli.client.confirmation import confirm, require_terminal
from event_gateway.cli.client.output import fail, print_answer, printable
from event_gateway.cli.client.progress import ProgressBar
from event_gateway.cli.client.requests import items_of, request_json, run_with_client
from event_gateway.core.text.count import count_of

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]
MAX_SHOWN = 20  # failures that are printed
WEBHOOKS_AT_ONCE = 100  # in one request, so that the progress moves

Work = Callable[[bool], Callable[["GatewayClient"], Awaitable[dict[str, Any]]]]
_DONE = {"enable": "enabled", "disable": "disabled", "retry": "retried", "cancel": "cancelled"}


def change_many(
    url: str | None,
    key: str | None,
    action: str,
    what: str,
    work: Work,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Asks about a change, and makes it. ``work(dry_run)`` makes or counts it; ``what`` it changes
    in the singular. Ends the command with 1 if some could not be changed."""
    if not (dry_run or yes):
        require_terminal()
        counted = run_with_client(url, key, work(True))
        if not counted["changed"]:
            print_answer(as_json, counted, lambda result: _lines(result, action, what))
            return
        confirm(f"{action.capitalize()} {count_of(counted['changed'], what)}?")
    result = run_with_client(url, key, work(dry_run))
    print_answer(as_json, result, lambda done: _lines(done, action, what))
    if result["failed"] or result["failed_omitted"]:
        failed = len(result["failed"]) + result["failed_omitted"]
        fail(f"{count_of(failed, what)} could not be {_DONE[action]}")


def change_webhooks(action: str, filters: dict[str, Any], *, quiet: bool) -> Work:
    """What enables or disables the webhooks for which the filters hold."""

    def work(dry_run: bool) -> Callable[["GatewayClient"], Awaitable[dict[str, Any]]]:
        async def run(client: "GatewayClient") -> dict[str, Any]:
            listed = await items_of(client, "/v1/webhooks", **filters)
            ids = [webhook["id"] for webhook in listed]
            result = _nothing(action, dry_run) | {"matched": len(ids)}
            with ProgressBar(_said(action, dry_run), len(ids), quiet=quiet) as bar:
                for start in range(0, len(ids), WEBHOOKS_AT_ONCE):
                    part = ids[start : start + WEBHOOKS_AT_ONCE]
                    body = {"action": action, "ids": part, "dry_run": dry_run}
                    done = await request_json(client, "POST", "/v1/webhooks/bulk", body)
                    result["changed"] += len(done["changed"])
                    result["webhooks"] += done["changed"]
                    result["failed"] += done["failed"]
                    bar.show(start + len(part), result["changed"])
            return result

        return run

    return work


def change_deliveries(action: str, selection: dict[str, Any], *, quiet: bool) -> Work:
    """What retries or cancels the deliveries of a webhook that are selected."""

    def work(dry_run: bool) -> Callable[["GatewayClient"], Awaitable[dict[str, Any]]]:
        async def run(client: "GatewayClient") -> dict[str, Any]:
            result = _nothing(action, dry_run)
            del result["webhooks"]
            body = {"action": action, "dry_run": dry_run, **selection}
            with ProgressBar(_said(action, dry_run), quiet=quiet) as bar:
                while True:
                    done = await request_json(client, "POST", "/v1/deliveries/bulk", body)
                    for member in ("matched", "changed", "failed", "failed_omitted"):
                        result[member] += done[member]
                    if done["next"] is None:
                        return result
                    body["cursor"] = done["next"]
                    bar.show(result["matched"], result["changed"])

        return run

    return work


def _nothing(action: str, dry_run: bool) -> dict[str, Any]:
    return {
        "action": action, "dry_run": dry_run, "matched": 0, "changed": 0, "webhooks": [],
        "failed": [], "failed_omitted": 0,
    }  # fmt: skip


def _said(action: str, dry_run: bool) -> str:
    return "counted" if dry_run else _DONE[action]


def _lines(result: dict[str, Any], action: str, what: str) -> Iterable[str]:
    done = f"to {action} (dry run)" if result["dry_run"] else _DONE[action]
    yield f"{count_of(result['changed'], what)} {done}, of {result['matched']:,} that match"
    if result["dry_run"]:
        yield from (f"  {name}" for name in result.get("webhooks", ()))
    for failed in result["failed"][:MAX_SHOWN]:
        yield f"  {printable(failed.get('id') or failed['event_id'])}: {failed['detail']}"
