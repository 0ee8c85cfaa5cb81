"""Equal parts of webhooks are one object: most webhooks have the same of most of them."""

from msgspec.structs import force_setattr

from event_gateway.core.webhook.webhook import Webhook

MAX_SHARED = 4096  # parts that are remembered, as users choose them
_PARTS = ("retry_policy", "circuit_breaker", "tls", "batch", "transformation", "method", "mode",
          "managed_by")  # fmt: skip
_shared: dict[object, object] = {}


def share_parts(webhook: Webhook) -> Webhook:
    """The webhook, whose parts are those of the webhooks before where they are equal. Decoding
    makes each anew, which is a third of the memory of a webhook."""
    for name in _PARTS:
        part = getattr(webhook, name)
        known = _shared.get(part)
        if known is not None:
            force_setattr(webhook, name, known)
        elif len(_shared) < MAX_SHARED:
            _shared[part] = part
    return webhook
