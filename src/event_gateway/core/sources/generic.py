"""What the generic providers have in common."""

from event_gateway.core.sources.definition import Templates
from event_gateway.core.sources.provider import Example

# The id is that of a header of the delivery, which stays in a redelivery. An id in the body may be
# that of a thing, of which there are several events.
TEMPLATES = Templates(
    type="{name}.{body.type|body.event|'received'}",
    id="{webhook-id|idempotency-key|digest}",
)
EXAMPLE = Example({"Idempotency-Key": "42"}, '{"type":"order.placed","order":17}')
