"""``event-gateway webhooks create``, ``update``, ``delete``, ``enable`` and ``disable``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.bulk_changes import DryRunOption, change_many, change_webhooks
from event_gateway.cli.client.completion import (
    complete_secrets,
    complete_transformations,
    complete_webhooks,
)
from event_gateway.cli.client.confirmation import YesOption, confirm
from event_gateway.cli.client.documents import read_document
from event_gateway.cli.client.filters import parse_filter
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail, print_answer, warnings_of
from event_gateway.cli.client.requests import call, quoted
from event_gateway.core.text.count import count_of

PATH = "/v1/webhooks"
Repeated = list[str] | None
IdArgument = Annotated[
    str, typer.Argument(help="The webhook's id.", autocompletion=complete_webhooks)
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f",
        help="The definition, YAML or JSON, as under webhooks in the configuration; - is the "
             "standard input. Options change it.",
    ),
]  # fmt: skip
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint", help="The receiver's URL, to which events are sent.")
]
EventsOption = Annotated[
    Repeated,
    typer.Option(
        "--events", help="Patterns of event types: * one token, > the rest; by commas; repeatable."
    ),
]
FilterOption = Annotated[
    Repeated,
    typer.Option("--filter", help="Only events with FIELD=VALUE (or != > >= < <= ~); repeatable."),
]
ExpressionOption = Annotated[
    str | None, typer.Option(help="Only events for which this CEL expression is true.")
]
TransformationOption = Annotated[
    str | None,
    typer.Option(help="The format of the requests.", autocompletion=complete_transformations),
]
SecretOption = Annotated[
    str | None,
    typer.Option(
        "--secret",
        help="The name of the secret that signs the requests.",
        autocompletion=complete_secrets,
    ),
]
DescriptionOption = Annotated[str | None, typer.Option(help="A text for people.")]


def create(
    webhook: Annotated[str | None, typer.Argument(help="The webhook's id.")] = None,
    endpoint: EndpointOption = None,
    events: EventsOption = None,
    filters: FilterOption = None,
    expression: ExpressionOption = None,
    transformation: TransformationOption = None,
    secret: SecretOption = None,
    description: DescriptionOption = None,
    disabled: Annotated[
        bool,
        typer.Option(
            "--disabled",
            help="Create the webhook disabled; it delivers nothing until it is enabled.",
        ),
    ] = False,
    file: FileOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a webhook: events of these types are sent to its endpoint from now on."""
    body = _definition(
        file, endpoint, events, filters, expression, transformation, secret, description
    )
    body |= {} if webhook is None else {"id": webhook}
    body |= {"enabled": False} if disabled else {}
    for member, option in (("id", "the id"), ("url", "--endpoint"), ("events", "--events")):
        if member not in body:
            fail(f"give {option}, or a --file with {member}", 2)
    print_answer(as_json, call(url, key, "POST", PATH, body), lambda new: _changed(new, "created"))


def update(
    webhook: IdArgument,
    endpoint: EndpointOption = None,
    events: EventsOption = None,
    filters: FilterOption = None,
    expression: ExpressionOption = None,
    transformation: TransformationOption = None,
    secret: SecretOption = None,
    description: DescriptionOption = None,
    file: FileOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is given of a webhook, and keep the rest.

    A list replaces the former one. In a --file null removes a member.
    """
    body = _definition(
        file, endpoint, events, filters, expression, transformation, secret, description
    )
    if not body:
        fail("nothing to change: give an option, or --file", 2)
    answer = call(url, key, "PATCH", f"{PATH}/{quoted(webhook)}", body)
    print_answer(as_json, answer, lambda changed: _changed(changed, "updated"))


def delete(
    webhook: IdArgument, yes: YesOption = False, url: UrlOption = None, key: KeyOption = None
) -> None:
    """Delete a webhook, and cancel its pending deliveries."""
    path = f"{PATH}/{quoted(webhook)}"
    if not yes:
        confirm(f"Delete the webhook {webhook}{_waiting(url, key, path)}?")
    call(url, key, "DELETE", path)
    typer.echo(f"{webhook}: deleted")


SomeOption = Annotated[
    str | None, typer.Argument(help="The webhook's id.", autocompletion=complete_webhooks)
]
AllOption = Annotated[bool, typer.Option("--all", help="All webhooks.")]
StateOption = Annotated[
    str | None, typer.Option("--state", help="All of this state, such as paused or active.")
]
EventOption = Annotated[
    str | None, typer.Option("--event", help="All whose patterns fit this type or pattern.")
]
OwnerOption = Annotated[str | None, typer.Option("--owner", help="All of this namespace.")]
ManagerOption = Annotated[
    str | None, typer.Option("--managed-by", help="All of api, file, applied, or applied/NAME.")
]
MetadataOption = Annotated[
    str | None, typer.Option("--metadata", help="All with NAME:TEXT in their metadata.")
]


def enable(
    webhook: SomeOption = None,
    every: AllOption = False,
    state: StateOption = None,
    event: EventOption = None,
    owner: OwnerOption = None,
    managed_by: ManagerOption = None,
    metadata: MetadataOption = None,
    dry_run: DryRunOption = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="Cancel the deliveries that wait, do not send them.")
    ] = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enable webhooks that were disabled: the deliveries that wait are sent.

    One by its id, or many by what holds of all of them.
    """
    filters = _filters(state, event, owner, managed_by, metadata)
    if _names_many(webhook, filters, every):
        if discard:
            fail("--discard needs the id of one webhook", 2)
        work = change_webhooks("enable", filters, quiet=as_json)
        change_many(url, key, "enable", "webhook", work,
                    dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip
        return
    if dry_run:
        fail("--dry-run is for many webhooks: give --all, or what holds of them", 2)
    path = f"{PATH}/{quoted(webhook or '')}"
    if discard and not yes:
        confirm(f"Enable the webhook {webhook}{_waiting(url, key, path)}?")
    answer = call(url, key, "POST", f"{path}/enable", discard=discard or None)
    print_answer(as_json, answer, lambda changed: _changed(changed, "enabled"))


def disable(
    webhook: SomeOption = None,
    every: AllOption = False,
    state: StateOption = None,
    event: EventOption = None,
    owner: OwnerOption = None,
    managed_by: ManagerOption = None,
    metadata: MetadataOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Disable webhooks: their deliveries wait until they are enabled.

    One by its id, or many by what holds of all of them.
    """
    filters = _filters(state, event, owner, managed_by, metadata)
    if _names_many(webhook, filters, every):
        work = change_webhooks("disable", filters, quiet=as_json)
        change_many(url, key, "disable", "webhook", work,
                    dry_run=dry_run, yes=yes, as_json=as_json)  # fmt: skip
        return
    if dry_run:
        fail("--dry-run is for many webhooks: give --all, or what holds of them", 2)
    answer = call(url, key, "PATCH", f"{PATH}/{quoted(webhook or '')}", {"enabled": False})
    print_answer(as_json, answer, lambda changed: _changed(changed, "disabled"))


def _filters(
    state: str | None,
    event: str | None,
    owner: str | None,
    managed_by: str | None,
    metadata: str | None,
) -> dict[str, str]:
    given = {"state": state, "event": event, "owner": owner, "managed_by": managed_by,
             "metadata": metadata}  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def _names_many(webhook: str | None, filters: dict[str, str], every: bool) -> bool:
    """Whether a command is about many webhooks. Ends it if it does not say which in one way."""
    if sum((webhook is not None, bool(filters), every)) != 1:
        fail("name a webhook, or what holds of many (--state, --event, --owner, --managed-by, "
             "--metadata), or --all", 2)  # fmt: skip
    return webhook is None


def _definition(
    file: Path | None,
    endpoint: str | None,
    events: list[str] | None,
    filters: list[str] | None,
    expression: str | None,
    transformation: str | None,
    secret: str | None,
    description: str | None,
) -> dict[str, Any]:
    body = {} if file is None else read_document(file)
    if not isinstance(body, dict):
        fail(f"{file}: is no mapping with the members of a webhook", 2)
    given = {
        "url": endpoint,
        "events": patterns_in(events or []) or None,
        "filters": [parse_filter(text) for text in filters or []] or None,
        "expression": expression,
        "transformation": transformation,
        "security": secret and {"auth_type": "hmac_signature", "secret_name": secret},
        "description": description,
    }
    return body | {member: value for member, value in given.items() if value is not None}


def patterns_in(texts: Iterable[str]) -> list[str]:
    """The patterns in options: each may have several, separated by commas or spaces."""
    return [pattern for text in texts for pattern in text.replace(",", " ").split()]


def _waiting(url: str | None, key: str | None, path: str) -> str:
    waiting = call(url, key, "GET", f"{path}/stats")["queue_depth"]
    if not waiting:
        return ""
    return f", and cancel {count_of(waiting, 'pending delivery')}"


def _changed(webhook: dict[str, Any], what: str) -> list[str]:
    about = f"{webhook['id']}: {what}, {webhook['state']}"
    return [f"{about}, {' '.join(webhook['events'])} to {webhook['url']}", *warnings_of(webhook)]
