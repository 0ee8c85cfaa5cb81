"""``event-gateway webhooks test`` and ``verify``: try a webhook's receiver at once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.documents import read_document
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fields, print_answer
from event_gateway.cli.client.requests import call, quoted
from event_gateway.cli.commands.webhook_changes import PATH, IdArgument


def try_webhook(
    webhook: IdArgument,
    event: Annotated[
        Path | None,
        typer.Option(
            "--event", help="A file with the CloudEvent to send, - is the standard input; by "
                            "default an example that fits the webhook."
        ),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Send one event to a webhook's receiver, and show the request and the response.

    It is no delivery: nothing is recorded or retried. Ends with 1 if the receiver did not take it.
    """
    body = None if event is None else {"event": read_document(event)}
    tried = call(url, key, "POST", f"{PATH}/{quoted(webhook)}/test", body)
    print_answer(as_json, tried, _exchange)
    if not tried["succeeded"]:
        raise typer.Exit(1)


def verify(
    webhook: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Ask a webhook's receiver whether it wants the events (the CloudEvents handshake).

    Ends with 1 if the receiver did not agree.
    """
    answer = call(url, key, "POST", f"{PATH}/{quoted(webhook)}/verify")
    print_answer(as_json, answer, _handshake)
    if not answer["verified"]:
        raise typer.Exit(1)


def _exchange(tried: dict[str, Any]) -> Iterator[str]:
    sent, received = tried["request"], tried["response"]
    if sent is not None:
        yield f"> {sent['method']} {sent['url']}"
        yield from _message(">", sent)
        yield ""
    if received is not None:
        yield f"< {tried['status_code']} after {tried['duration_ms']} ms"
        yield from _message("<", received)
        yield ""
    if tried["succeeded"]:
        yield f"succeeded: the receiver took it, after {tried['duration_ms']} ms"
    else:
        yield f"failed: {tried['error_type']}: {tried['error_message']}"


def _message(mark: str, message: dict[str, Any]) -> Iterator[str]:
    for name, value in message["headers"].items():
        yield f"{mark} {name}: {value}"
    if message["body"]:
        yield mark
    for line in _readable(message["body"]).splitlines():
        yield f"{mark} {line}"
    if message["truncated"]:
        yield f"{mark} … (cut off)"


def _readable(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def _handshake(answer: dict[str, Any]) -> list[str]:
    verified = "verified" if answer["verified"] else "not verified"
    return [
        f"{answer['webhook_id']}: {verified}",
        *fields({
            "status": answer["status_code"],
            "allowed origin": answer["allowed_origin"],
            "allowed rate": answer["allowed_rate"],
            "error": answer["error_type"] and f"{answer['error_type']}: {answer['error_message']}",
        }),
    ]  # fmt: skip
