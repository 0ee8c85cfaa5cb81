"""Equal parts of webhooks are one object: most webhooks have the same of most of them."""

from operator import attrgetter

from msgspec.structs import force_setattr

from event_gateway.core.webhook.webhook import Webhook

MAX_SHARED = 4096  # parts that are remembered, as users choose them
_PARTS = ("retry_policy", "circuit_breaker", "tls", "batch", "transformation", "method", "mode",
          "managed_by", "timeout", "disable_after")  # fmt: skip
_MAPS = ("headers", "metadata", "since_in")
_parts, _maps = attrgetter(*_PARTS), attrgetter(*_MAPS)
_EMPTY: dict[str, object] = {}
_shared: dict[object, object] = {}


def share_parts(webhook: Webhook) -> Webhook:
    """The webhook, whose parts are those of the webhooks before where they are equal. Decoding
    makes a new object of each, which is a third of the memory of a webhook."""
    for name, part in zip(_PARTS, _parts(webhook), strict=True):
        known = _shared.get(part)
        if known is None:
            if len(_shared) < MAX_SHARED:
                _shared[part] = part
        elif known is not part:
            force_setattr(webhook, name, known)
    for name, map_ in zip(_MAPS, _maps(webhook), strict=True):
        if not map_:
            force_setattr(webhook, name, _EMPTY)
    return webhook
