"""What a route asks of its caller: each declares it by the type of a parameter.

async def list_webhooks(parts: Parts, caller: ManagesWebhooks, …) -> …:
"""

from typing import Annotated

from fastapi import Depends, Request

from event_gateway.core.access import scope
from event_gateway.core.access.principal import Principal

# The key of the ASGI scope under which a guarded route finds its caller.
PRINCIPAL = "event_gateway.principal"


class Requirement:
    """A scope that the caller must have, empty where any valid credential will do; ``unconfined``:
    nothing may narrow it."""

    def __init__(self, scope: str, *, unconfined: bool = False) -> None:
        self.scope = scope
        self.unconfined = unconfined

    # A coroutine function, as FastAPI calls other functions in a thread.
    async def __call__(self, request: Request) -> Principal:
        principal: Principal = request.scope[PRINCIPAL]
        return principal


AnyCaller = Annotated[Principal, Depends(Requirement(""))]
ReadsEvents = Annotated[Principal, Depends(Requirement(scope.EVENTS_READ))]
ReadsStreams = Annotated[Principal, Depends(Requirement(scope.STREAMS_READ))]
ReadsWholeStreams = Annotated[Principal, Depends(Requirement(scope.STREAMS_READ, unconfined=True))]
ReadsWebhooks = Annotated[Principal, Depends(Requirement(scope.WEBHOOKS_READ))]
ManagesWebhooks = Annotated[Principal, Depends(Requirement(scope.WEBHOOKS_MANAGE))]
ReadsDeliveries = Annotated[Principal, Depends(Requirement(scope.DELIVERIES_READ))]
ManagesDeliveries = Annotated[Principal, Depends(Requirement(scope.DELIVERIES_MANAGE))]
ManagesSecrets = Annotated[Principal, Depends(Requirement(scope.SECRETS_MANAGE))]
ReadsSources = Annotated[Principal, Depends(Requirement(scope.EVENTS_READ, unconfined=True))]
ReadsMetrics = Annotated[Principal, Depends(Requirement(scope.METRICS_READ, unconfined=True))]
Operator = Annotated[Principal, Depends(Requirement(scope.ADMIN, unconfined=True))]
