"""``event-gateway keys``: creates, lists, changes, rotates and revokes API keys."""

from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import (
    complete_keys,
    complete_scopes,
    complete_streams,
    complete_types,
)
from event_gateway.cli.client.confirmation import YesOption, confirm
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail, fields, print_answer, warnings_of
from event_gateway.cli.client.requests import call, quoted
from event_gateway.core.access.api_key import ADMIN_ID
from event_gateway.core.access.scope import SCOPES

app = typer.Typer(
    no_args_is_help=True, help="API keys: create, list, show, update, rotate, revoke."
)

IdArgument = Annotated[str, typer.Argument(help="The key's id.", autocompletion=complete_keys)]
NameOption = Annotated[str | None, typer.Option("--name", help="Another name.")]
ScopeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        help=f"What the key allows; repeatable: {', '.join(SCOPES)}.",
        autocompletion=complete_scopes,
    ),
]
NamespaceOption = Annotated[
    list[str] | None, typer.Option("--namespace", help="Only this namespace; repeatable.")
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        help="Only event types of this pattern; repeatable.",
        autocompletion=complete_types,
    ),
]
StreamOption = Annotated[
    list[str] | None,
    typer.Option("--stream", help="Only this stream; repeatable.", autocompletion=complete_streams),
]
ExpiryOption = Annotated[
    str | None,
    typer.Option("--expires-in", help="The lifetime, such as 30d. Default: the key never expires."),
]
RequestsOption = Annotated[
    int | None,
    typer.Option(
        min=0, help="Requests that it may send to a process within --per; 0: no limit of its own."
    ),
]
PerOption = Annotated[
    str | None, typer.Option(help="The period for --requests, such as 1m. Default: 1s.")
]
OverlapOption = Annotated[
    str | None,
    typer.Option(
        help="How long the former value stays valid. Default: 24h. 0s refuses it at once."
    ),
]

_COLUMNS: Columns = {
    "ID": "id", "NAME": "name", "ALLOWS": lambda key: _limits(key),
    "EXPIRES": lambda key: key["expires_at"] or "never", "LAST USED": "used_at",
}  # fmt: skip


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The name of the key, for people.")],
    scope: ScopeOption = None,
    namespace: NamespaceOption = None,
    event_type: TypeOption = None,
    stream: StreamOption = None,
    expires_in: ExpiryOption = None,
    requests: RequestsOption = None,
    per: PerOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a key, and print it. It is shown this once."""
    if not scope:
        fail(f"--scope: give at least one of {', '.join(SCOPES)}", 2)
    body = {"name": name} | _given(scope, namespace, event_type, stream, expires_in)
    body |= _given_limits(requests, per)
    print_answer(as_json, call(url, key, "POST", "/v1/keys", body), _with_value)


@app.command("list")
def list_keys(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the keys, without their values."""
    print_list(url, key, "/v1/keys", _COLUMNS, as_json=as_json)


@app.command()
def show(
    key_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a key, without its value."""
    print_answer(as_json, call(url, key, "GET", f"/v1/keys/{quoted(key_id)}"), _details)


@app.command()
def update(
    key_id: IdArgument,
    name: NameOption = None,
    scope: ScopeOption = None,
    namespace: NamespaceOption = None,
    event_type: TypeOption = None,
    stream: StreamOption = None,
    expires_in: ExpiryOption = None,
    requests: RequestsOption = None,
    per: PerOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what a key allows. A list that is given replaces the former one."""
    body = _given(scope, namespace, event_type, stream, expires_in)
    body |= {} if name is None else {"name": name}
    body |= _given_limits(requests, per)
    if not body:
        fail("nothing to change: give an option", 2)
    print_answer(as_json, call(url, key, "PATCH", f"/v1/keys/{quoted(key_id)}", body), _details)


@app.command()
def rotate(
    key_id: IdArgument,
    overlap: OverlapOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a key another value, and print it. It is shown this once.

    The value of the key admin is written to its file, and not printed.
    """
    confirm(f"Make a new value of the key {key_id}{_until(overlap)}?", yes)
    body = {} if overlap is None else {"overlap": overlap}
    answer = call(url, key, "POST", f"/v1/keys/{quoted(key_id)}/rotate", body)
    if key_id == ADMIN_ID:
        answer.pop("key")
    print_answer(as_json, answer, _with_value)


@app.command()
def revoke(
    key_id: IdArgument, yes: YesOption = False, url: UrlOption = None, key: KeyOption = None
) -> None:
    """Revoke a key. Its connections and tokens end within seconds."""
    confirm(f"Revoke the key {key_id} for ever?", yes)
    call(url, key, "DELETE", f"/v1/keys/{quoted(key_id)}")
    typer.echo(f"{key_id}: revoked")


def _until(overlap: str | None) -> str:
    return "" if overlap is None else f", whose present value ends in {overlap}"


def _given(
    scope: list[str] | None,
    namespace: list[str] | None,
    event_type: list[str] | None,
    stream: list[str] | None,
    expires_in: str | None,
) -> dict[str, Any]:
    members = {
        "scopes": scope, "namespaces": namespace, "types": event_type, "streams": stream,
        "expires_in": expires_in,
    }  # fmt: skip
    return {name: value for name, value in members.items() if value}


def _given_limits(requests: int | None, per: str | None) -> dict[str, Any]:
    if requests is None:
        if per is not None:
            fail("--per needs --requests", 2)
        return {}
    if not requests:
        return {"limits": None}
    return {"limits": {"requests": requests, **({} if per is None else {"per": per})}}


def _with_value(answer: dict[str, Any]) -> list[str]:
    lines = warnings_of(answer)
    if until := answer["former_until"]:
        lines.append(f"the former value is valid until {until}")
    if "key" in answer:
        lines += [answer["key"], "Store it now: it is not shown again."]
    else:
        lines.append(f"the new value is in {answer['file']}")
    return [f"{answer['id']}: {answer['name']}, {_limits(answer)}", *lines]


def _details(key: dict[str, Any]) -> list[str]:
    return [
        *fields({
            "id": key["id"],
            "name": key["name"],
            "scopes": " ".join(key["scopes"]),
            "namespaces": _joined(key["namespaces"]),
            "types": _joined(key["types"]),
            "streams": _joined(key["streams"]),
            "requests": _rate(key),
            "created": key["created_at"] and f"{key['created_at']} by {key['created_by']}",
            "expires": key["expires_at"] or "never",
            "rotated": key["rotated_at"],
            "former until": key["former_until"],
            "last used": key["used_at"],
            "file": key["file"],
        }),
        *warnings_of(key),
    ]  # fmt: skip


def _limits(key: dict[str, Any]) -> str:
    parts = [" ".join(key["scopes"])]
    parts += [
        f"{kind}: {' '.join(key[kind])}"
        for kind in ("namespaces", "types", "streams")
        if key[kind] is not None
    ]
    parts += [f"requests: {rate}"] if (rate := _rate(key)) else []
    return "; ".join(parts)


def _rate(key: dict[str, Any]) -> str | None:
    limits = key["limits"]
    return limits and f"{limits['requests']} per {limits['per']}"


def _joined(limit: list[str] | None) -> str | None:
    return None if limit is None else " ".join(limit)
