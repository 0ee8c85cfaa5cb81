"""Several servers of which one is the primary: what kind they are, and who says which one it is."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from event_gateway.core.text.urls import CLUSTER, SENTINEL, places_of
from event_gateway.state.client import RedisClient
from event_gateway.state.login import RedisLogin
from event_gateway.state.primary import Address, Primary
from event_gateway.state.sentinels import Sentinels
from event_gateway.state.slot import SlotClient, SlotOwner


@dataclass(frozen=True, slots=True)
class Servers:
    """``kind``: the scheme of their URL; ``client``: the class of clients that can talk to them;
    ``found`` returns the servers that were found; ``close`` ends the connections over which they
    are found."""

    kind: str
    primary: Primary
    client: type[RedisClient]
    found: Callable[[], Collection[Address]]
    close: Callable[[], Awaitable[None]]


def servers_at(url: str, login: RedisLogin) -> Servers | None:
    """The servers behind Sentinels (``redis-sentinel://HOST:PORT,…#NAME``) or of a cluster
    (``redis-cluster://HOST:PORT,…``); None if the URL is of one server."""
    parts = urlsplit(url)
    places = places_of(url, 6379)
    if parts.scheme == SENTINEL:
        sentinels = Sentinels(places, parts.fragment, login.sentinels or RedisLogin())
        primary = Primary(sentinels.find, check_role=True)
        return Servers(SENTINEL, primary, RedisClient, sentinels.found, sentinels.close)
    if parts.scheme == CLUSTER:
        owner = SlotOwner(places, login)
        primary = Primary(owner.find, check_role=False)
        return Servers(CLUSTER, primary, SlotClient, owner.found, owner.close)
    return None
