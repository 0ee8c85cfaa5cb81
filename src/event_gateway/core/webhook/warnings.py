"""What will not work as the owner of a webhook may expect, although it can be registered."""

import contextlib
from collections.abc import Callable, Iterator

from event_gateway.core.cloudevents.reserved_types import is_lifecycle
from event_gateway.core.errors import DefinitionWarning
from event_gateway.core.matching.sql_warnings import sql_warnings
from event_gateway.core.text.addresses import is_loopback
from event_gateway.core.text.endpoint_url import parse_endpoint_url
from event_gateway.core.webhook.retry_warnings import retry_warnings
from event_gateway.core.webhook.webhook import Webhook


def webhook_warnings(
    webhook: Webhook, has_secret: Callable[[str], bool], retention: float
) -> Iterator[DefinitionWarning]:
    """The warnings about a webhook. ``has_secret``: whether there is a secret of a name;
    ``retention`` of the log in seconds."""
    yield from _converted("url", webhook.url)
    yield from _not_encrypted("url", webhook.url)
    for position, method in enumerate(webhook.security):
        if method.secret_name and not has_secret(method.secret_name):
            yield DefinitionWarning(
                "secret_missing",
                f"security[{position}].secret_name",
                f"there is no secret {method.secret_name}; deliveries wait until there is one",
            )
        if method.token_url:
            key = f"security[{position}].token_url"
            yield from _converted(key, method.token_url)
            yield from _not_encrypted(key, method.token_url)
    if webhook.namespaces:
        for position, pattern in enumerate(webhook.events):
            if is_lifecycle(pattern):
                yield DefinitionWarning(
                    "lifecycle_types",
                    f"events[{position}]",
                    "lifecycle events belong to no namespace: a webhook with namespaces gets none",
                )
    yield from sql_warnings(webhook)
    yield from retry_warnings(webhook, retention)


def _not_encrypted(key: str, url: str) -> Iterator[DefinitionWarning]:
    with contextlib.suppress(ValueError):  # registered before it was refused
        endpoint = parse_endpoint_url(url)
        if endpoint.scheme == "http" and not is_loopback(endpoint.host):
            yield DefinitionWarning(
                "plain_http",
                key,
                f"requests to {endpoint.host} are not encrypted: everybody on the way reads the "
                "events and the credentials; use https",
            )


def _converted(key: str, url: str) -> Iterator[DefinitionWarning]:
    """A name with characters outside ASCII can look like another one."""
    if not url.isascii():
        with contextlib.suppress(ValueError):  # registered before it was refused
            host = parse_endpoint_url(url).host
            yield DefinitionWarning("idn_host", key, f"requests are sent to the host {host}")
