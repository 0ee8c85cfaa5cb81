"""What a shell completes: names of contexts, and live names of a gateway.

A completion waits a second for the gateway at most, prints no error, and runs no key command: it
would ask for a password at each Tab.
"""

import contextlib
import http.client
import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import typer

DEADLINE = 1.0  # seconds
MAX_NAMES = 1000

Complete = Callable[[typer.Context, str], list[str]]


def complete_contexts(incomplete: str) -> list[str]:
    """The names of contexts that begin so."""
    with _silent():
        from event_gateway.cli.client.contexts import load_contexts

        return [name for name in sorted(load_contexts().by_name) if name.startswith(incomplete)]
    return []


def complete_scopes(incomplete: str) -> list[str]:
    """The scopes that begin so."""
    from event_gateway.core.access.scope import SCOPES

    return [scope for scope in SCOPES if scope.startswith(incomplete)]


def complete_transformations(incomplete: str) -> list[str]:
    """The built-in transformations that begin so: the API lists no others."""
    from event_gateway.core.transformation.definition import BUILT_IN

    return [name for name in BUILT_IN if name.startswith(incomplete)]


def _names_of(path: str, member: str) -> Complete:
    """Completes what a list of the gateway has. ``path``: of the list, with parameters of the
    command in braces; ``member``: of an item, or of a member of it, as ``event.id``."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        names: list[str] = []

        def look_up() -> None:
            with _silent():
                given = {name: quote(str(value), safe="") for name, value in ctx.params.items()}
                for item in _items(ctx.params, path.format_map(given)):
                    value: Any = item
                    for part in member.split("."):
                        value = value[part]
                    names.append(str(value))

        looking = threading.Thread(target=look_up, daemon=True)
        looking.start()
        looking.join(DEADLINE)
        return [name for name in list(names) if name.startswith(incomplete)]

    return complete


complete_webhooks = _names_of("/v1/webhooks", "id")
complete_streams = _names_of("/v1/streams", "name")
complete_sources = _names_of("/v1/sources", "name")
complete_keys = _names_of("/v1/keys", "id")
complete_secrets = _names_of("/v1/secrets", "name")
complete_types = _names_of("/v1/event-types", "type")
complete_replays = _names_of("/v1/replays", "id")
complete_tokens = _names_of("/v1/tokens", "id")
complete_silences = _names_of("/v1/alerts/silences", "id")
complete_dead_letters = _names_of("/v1/dead-letters", "id")
complete_rejected = _names_of("/v1/rejected", "seq")
complete_subscriptions = _names_of("/v1/subscriptions", "id")
complete_events = _names_of("/v1/events", "event.id")
complete_deliveries = _names_of("/v1/webhooks/{webhook}/deliveries", "event_id")


def _items(params: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """The first items of a list. ``params``: the options that are typed already, or in the
    environment."""
    from event_gateway.cli.client.authorities import context_for
    from event_gateway.cli.client.contexts import Contexts, load_contexts
    from event_gateway.cli.client.place import find_place

    def without_commands() -> Contexts:
        loaded = load_contexts()
        by_name = {
            name: replace(context, key={}) if "command" in context.key else context
            for name, context in loaded.by_name.items()
        }
        return Contexts(by_name, loaded.current)

    place = find_place(params, {}, without_commands)
    parts = urlsplit(place.url or "http://127.0.0.1:8080")
    host, port = parts.hostname or "", parts.port
    tls = context_for(parts.geturl(), place.ca, place.certificate)
    connection = (
        http.client.HTTPConnection(host, port, timeout=DEADLINE) if tls is None
        else http.client.HTTPSConnection(host, port, timeout=DEADLINE, context=tls)
    )  # fmt: skip
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {place.key}"}
        connection.request("GET", f"{path}?limit={MAX_NAMES}", headers=headers)
        answer = connection.getresponse()
        return list(json.loads(answer.read())["items"]) if answer.status == 200 else []


@contextlib.contextmanager
def _silent() -> Any:
    """Whatever goes wrong: there is nothing to complete, and the command line stays as it is."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Exception):
        yield
