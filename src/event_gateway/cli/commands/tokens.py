"""``event-gateway tokens``: issues, lists and revokes tokens for browsers."""

from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_streams, complete_tokens, complete_types
from event_gateway.cli.client.confirmation import YesOption, confirm
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import print_answer, printable, warnings_of
from event_gateway.cli.client.requests import call, quoted

app = typer.Typer(no_args_is_help=True, help="Tokens for browsers: create, list, revoke.")

Repeated = list[str] | None

_COLUMNS: Columns = {
    "ID": "id",
    "PRINCIPAL": "principal",
    "OPENS": lambda token: " ".join([*token["streams"], *token["subjects"]]),
    "ISSUED BY": lambda token: token["issued_by"]["name"],
    "EXPIRES": "expires_at",
}


@app.command()
def create(
    stream: Annotated[
        Repeated,
        typer.Option(
            help="A stream that the token may read; repeatable.", autocompletion=complete_streams
        ),
    ] = None,
    subject: Annotated[
        Repeated, typer.Option(help="A pattern of subjects that the token may read; repeatable.")
    ] = None,
    namespace: Annotated[Repeated, typer.Option(help="Only this namespace; repeatable.")] = None,
    event_type: Annotated[
        Repeated,
        typer.Option(
            "--type",
            help="Only event types of this pattern; repeatable.",
            autocompletion=complete_types,
        ),
    ] = None,
    principal: Annotated[str | None, typer.Option(help="The user of the token.")] = None,
    expires_in: Annotated[
        str | None, typer.Option(help="The lifetime, at most 1h. Default: 5m.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a token, and print it. It opens no more than the key that issues it."""
    members = {
        "streams": stream, "subjects": subject, "namespaces": namespace, "types": event_type,
        "principal": principal, "expires_in": expires_in,
    }  # fmt: skip
    body = {name: value for name, value in members.items() if value}
    print_answer(as_json, call(url, key, "POST", "/v1/tokens", body), _issued)


@app.command("list")
def list_tokens(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the tokens that have not expired, without their values."""
    print_list(url, key, "/v1/tokens", _COLUMNS, as_json=as_json)


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(help="The token's id.", autocompletion=complete_tokens)],
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Revoke a token. Its connections end within seconds."""
    confirm(f"Revoke the token {printable(token)} for ever?", yes)
    call(url, key, "DELETE", f"/v1/tokens/{quoted(token)}")
    typer.echo(f"{token}: revoked")


def _issued(token: dict[str, Any]) -> list[str]:
    valid = f"{token['id']}: valid until {token['expires_at']}"
    return [valid, *warnings_of(token), token["token"]]
