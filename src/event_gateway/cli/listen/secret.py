"""The key that signs what ``listen`` forwards: the same in each run."""

import base64
import secrets

import typer

from event_gateway.cli.client.contexts import contexts_file
from event_gateway.core.webhook.signing_keys import SHARED, check_keys
from event_gateway.private_file import write_private


def kept_secret() -> str:
    """The key of former runs; a new one at first, which is kept in the user's configuration
    directory. Says where it is."""
    try:
        file = contexts_file().with_name("listen.key")
        secret = file.read_text().strip()
        check_keys(secret)
        typer.echo(f"signing with {secret} (kept in {file})", err=True)
        return secret
    except (OSError, ValueError):
        secret = SHARED + base64.b64encode(secrets.token_bytes(32)).decode()
    try:
        file = contexts_file().with_name("listen.key")
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, secret + "\n")
        typer.echo(f"signing with {secret} (new, kept in {file})", err=True)
    except OSError as error:
        typer.echo(f"signing with {secret} (new, not kept: {error.strerror})", err=True)
    return secret
