"""``event-gateway events``: finds events, says what became of them, and sends one once more."""

import json
import time
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_events, complete_types, complete_webhooks
from event_gateway.cli.client.confirmation import YesOption, confirm, require_terminal
from event_gateway.cli.client.options import (
    JsonOption,
    KeyOption,
    LimitOption,
    SinceOption,
    UntilOption,
    UrlOption,
)
from event_gateway.cli.client.output import Line, fields, print_answer, table
from event_gateway.cli.client.requests import (
    call,
    quoted,
    request_json,
    run_with_client,
    with_query,
)
from event_gateway.cli.client.times import time_range
from event_gateway.core.text.count import count_of

MAX_WEBHOOKS = 1000  # that ``show`` shows
LONGEST = 10.0  # seconds for which ``list`` searches

app = typer.Typer(no_args_is_help=True, help="Events: list, show, resend.")

IdArgument = Annotated[str, typer.Argument(help="The event's id.", autocompletion=complete_events)]
SourceOption = Annotated[
    str | None, typer.Option(help="The event's source, if several sources have events of this id.")
]
TypeOption = Annotated[
    str | None,
    typer.Option(
        "--type",
        help="A pattern of types: * for a token, > for the rest.",
        autocompletion=complete_types,
    ),
]
OfSource = Annotated[str | None, typer.Option("--source", help="Only events of this source.")]
OfSubject = Annotated[str | None, typer.Option("--subject", help="Only events of this subject.")]
WebhookOption = Annotated[
    list[str] | None,
    typer.Option(
        "--webhook",
        help="Only this webhook; may be repeated.",
        show_default=False,
        autocompletion=complete_webhooks,
    ),
]
BodyOption = Annotated[bool, typer.Option("--body", help="Also the body of the last request.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")]


@app.command("list")
def list_events(
    type: TypeOption = None,
    source: OfSource = None,
    subject: OfSubject = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 20,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List events of the log, the newest first.

    It searches for 10 s at most, then says on stderr what it has not searched.
    """
    query = {"type": type, "source": source, "subject": subject, **time_range(since, until)}

    async def work(client: Any) -> list[Any]:
        items: list[Any] = []
        deadline = time.monotonic() + LONGEST
        while len(items) < limit:
            page = await request_json(
                client, "GET", "/v1/events", limit=min(1000, limit - len(items)), **query
            )
            items += page["items"]
            if page["next"] is None:
                break
            if len(items) < limit and time.monotonic() >= deadline:
                note = page.get("note", "there is more, which was not searched")
                typer.echo(f"note: {note}; --until a time continues it", err=True)
                break
            query["cursor"] = page["next"]
        return items

    print_answer(as_json, run_with_client(url, key, work), _rows)


@app.command()
def show(
    event: IdArgument,
    source: SourceOption = None,
    type: Annotated[
        str | None,
        typer.Option(
            "--type",
            help="The event's type: helps where the event is not found.",
            autocompletion=complete_types,
        ),
    ] = None,
    webhook: WebhookOption = None,
    body: BodyOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where an event is and what became of it at each webhook.

    With --webhook also the requests that the webhook was sent.
    """

    async def work(client: Any) -> Any:
        query: dict[str, Any] = {
            "source": source, "type": type, "webhook": webhook, "body": body or None,
        }  # fmt: skip
        answer = None
        while True:
            page = await request_json(client, "GET", with_query(_path(event), query))
            if answer is None:
                answer = page
            else:
                answer["webhooks"] += page["webhooks"]
            answer["next"] = page["next"]
            if page["next"] is None or len(answer["webhooks"]) >= MAX_WEBHOOKS:
                return answer
            query["cursor"] = page["next"]

    print_answer(as_json, run_with_client(url, key, work), _details)


@app.command()
def resend(
    event: IdArgument,
    source: SourceOption = None,
    webhook: WebhookOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send an event once more: to the webhooks given, or to all that it matches."""
    body = {"source": source, "webhooks": webhook or None, "dry_run": dry_run}
    path = f"{_path(event)}/resend"
    if not (webhook or dry_run or yes):
        require_terminal()
        planned = call(url, key, "POST", path, body | {"dry_run": True})
        confirm(f"Send {event} to {count_of(planned['queued'], 'webhook')}?")
    print_answer(as_json, call(url, key, "POST", path, body), _resent)


def _path(event: str) -> str:
    return f"/v1/events/{quoted(event)}"


def _rows(items: list[dict[str, Any]]) -> list[Line]:
    rows = [
        [
            item["received_at"],
            str(item["sequence"]),
            item["event"]["type"],
            item["event"]["id"],
            item["source"],
            item["event"].get("subject") or "-",
            item["origin"],
        ]
        for item in items
    ]
    return table(["RECEIVED", "SEQUENCE", "TYPE", "ID", "SOURCE", "SUBJECT", "ORIGIN"], rows)


def _details(answer: dict[str, Any]) -> Sequence[Line]:
    event, message = answer["event"] or {}, answer["message"] or {}
    place = f"{answer['stream']} {answer['sequence']}"
    lines: list[Line] = []
    lines += fields({
        "id": event.get("id"),
        "source": answer["source"],
        "type": event.get("type"),
        "subject": event.get("subject"),
        "received": answer["received_at"],
        "origin": answer["origin"],
        "nats subject": message.get("subject"),
        "place": place,
        "routed": "yes" if answer["routed"] else "not yet",
    })  # fmt: skip
    for title, places in (("published again", answer["repeats"]), ("same id", answer["others"])):
        lines += [
            f"{title}: {each['stream']} {each['sequence']}, {each['source']}, {each['received_at']}"
            for each in places
        ]
    lines += _webhooks(answer["webhooks"])
    lines += [
        f"stream {each['name']}: {each['sequence'] or each['reason']}" for each in answer["streams"]
    ]
    for title, related in (("cause", answer["causes"]), ("effect", answer["effects"])):
        lines += [f"{title}: {each['id']} {each['type']} ({each['source']})" for each in related]
    lines += [f"not known: {each['what']}: {each['why']}" for each in answer["unknown"]]
    return lines


def _webhooks(webhooks: list[dict[str, Any]]) -> Iterable[Line]:
    rows = []
    more: list[str] = []
    for webhook in webhooks:
        if not webhook["matched"]:
            rows.append([webhook["id"], "not matched", "-", webhook["reason"]])
            continue
        waits = [
            wait["detail"] + (f" (until {wait['until']})" if wait["until"] else "")
            for wait in webhook.get("waits", ())
        ]
        said = waits or [webhook.get("last_error") or webhook.get("unknown") or "-"]
        attempts = str(webhook.get("attempts", "-"))
        rows.append([webhook["id"], webhook["status"] or "no delivery", attempts, said[0]])
        rows += [["", "", "", text] for text in said[1:]]
        more += _requests(webhook)
    if rows:
        yield ""
        yield from table(["WEBHOOK", "STATUS", "ATTEMPTS", "WHY"], rows)
        yield from more
        yield ""


def _requests(webhook: dict[str, Any]) -> Iterable[str]:
    for each in webhook.get("requests", ()):
        attempt, request = each["attempt"], each["request"]
        ended = attempt.get("status_code") or attempt.get("error_message") or "-"
        yield ""
        yield f"{webhook['id']}, attempt {attempt['number']} at {attempt['time']}: {ended}"
        if request is not None:
            yield f"  {request['method']} {request['url']}"
            yield from (f"  {name}: {value}" for name, value in request["headers"].items())
            body = request.get("body", request.get("body_base64"))
            if body is not None:
                yield f"  {body if isinstance(body, str) else json.dumps(body)}"
        yield from (f"  ({text})" for text in each["differs"])


def _resent(answer: dict[str, Any]) -> list[Line]:
    done = "would be queued" if answer["dry_run"] else "queued"
    lines: list[Line] = [f"{answer['event_id']} ({answer['source']}): {answer['queued']} {done}"]
    rows = [[item["webhook_id"], item["result"], item["detail"] or "-"] for item in answer["items"]]
    return [*lines, *table(["WEBHOOK", "RESULT", "WHY"], rows)] if rows else lines
