"""Which live subscriptions a caller may see and end."""

import msgspec

from event_gateway.core.access.narrowing import is_within, owner_of
from event_gateway.core.access.principal import Principal


class SubscriptionView(msgspec.Struct, frozen=True):
    """What a confined caller may see: subscriptions that belong to some of its ``namespaces``; a
    caller without namespaces sees its own, those of ``key``, its identity. Of ``streams`` only,
    unless None.

    Processes send it to each other.
    """

    namespaces: tuple[str, ...] | None
    key: str
    streams: tuple[str, ...] | None

    def sees(self, owner: tuple[str, ...], key: str, stream: str | None) -> bool:
        """Whether it includes a subscription of this owner and key."""
        if self.streams is not None and stream is not None and stream not in self.streams:
            return False
        if self.namespaces is None:
            return key == self.key
        return is_within(owner, self.namespaces)


def view_of(caller: Principal) -> SubscriptionView | None:
    """What a caller may see; None: all."""
    if not caller.confined:
        return None
    return SubscriptionView(caller.namespaces, caller.identity, caller.streams)


def names_of(caller: Principal) -> tuple[str, ...]:
    """Whose durable names a caller uses: those of its namespaces, else, if it is narrowed to types,
    its own; empty: those of the operators. Users of browser tokens have names of their own, which
    all tokens of a user share."""
    if caller.method == "browser_token":
        return "", caller.holder  # no namespace is empty
    if caller.namespaces is None and caller.types is not None:
        return "", caller.identity
    return owner_of(caller)
