"""What a route may do with a registered webhook, stream or source."""

from typing import Annotated, TypeVar

from fastapi import Query

from event_gateway.api.server import problem_types
from event_gateway.api.server.problems import Problem
from event_gateway.core.errors import BeingDeleted
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.webhook.webhook import Webhook

# The manager of a definition: the API, or a caller that applies files, with a name or without.
_APPLIED = "applied(/[A-Za-z0-9_-]{1,64})?"
MANAGERS = rf"^(api|{_APPLIED})$"
ANY_MANAGER = rf"^(api|file|{_APPLIED})$"
Manager = Annotated[
    str,
    Query(
        pattern=MANAGERS,
        description="Who manages the definition: `api`, or `applied`, or `applied/NAME` of what "
        "`event-gateway apply` registers from a file.",
    ),
]

Definition = TypeVar("Definition", Webhook, StreamDefinition, SourceDefinition)


def present(definition: Definition) -> Definition:
    """The definition. Raises BeingDeleted if it is."""
    if not isinstance(definition, SourceDefinition) and definition.deleting:
        raise BeingDeleted(f"the {_named(definition)} is being deleted")
    return definition


def writable(definition: Definition) -> Definition:
    """The definition. Raises a Problem if the API may not change it."""
    present(definition)
    if isinstance(definition, Webhook) and definition.renamed_to:
        reason = f"was renamed to {definition.renamed_to}, which takes over its deliveries"
        raise Problem(409, f"the {_named(definition)} {reason}")
    if definition.managed_by == "file":
        reason = "comes from the configuration file; change it there"
        raise Problem(problem_types.MANAGED_BY_FILE, f"the {_named(definition)} {reason}")
    return definition


def deletable(webhook: Webhook) -> Webhook:
    """The webhook. Raises a Problem if the API may not delete it. It may delete one that the file
    does not name any more."""
    if webhook.orphaned_at and not webhook.renamed_to:
        return present(webhook)
    return writable(webhook)


def _named(definition: Webhook | StreamDefinition | SourceDefinition) -> str:
    if isinstance(definition, Webhook):
        return f"webhook {definition.id}"
    kind = "source" if isinstance(definition, SourceDefinition) else "stream"
    return f"{kind} {definition.name}"
