"""What will not work as the owner of a webhook may expect, although it can be registered."""

from collections.abc import Callable, Iterator

from event_gateway.core.errors import DefinitionWarning
from event_gateway.core.webhook.webhook import Webhook


def webhook_warnings(
    webhook: Webhook, has_secret: Callable[[str], bool]
) -> Iterator[DefinitionWarning]:
    """The warnings about a webhook. ``has_secret``: whether there is a secret of a name."""
    for position, method in enumerate(webhook.security):
        if method.secret_name and not has_secret(method.secret_name):
            yield DefinitionWarning(
                "secret_missing",
                f"security[{position}].secret_name",
                f"there is no secret {method.secret_name}; deliveries wait until there is one",
            )
