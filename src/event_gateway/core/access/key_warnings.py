"""What an API key allows that its owner may not expect, without being wrong."""

from collections.abc import Container, Iterator

from event_gateway.core.access.api_key import ApiKey
from event_gateway.core.access.scope import ADMIN, METRICS_READ
from event_gateway.core.errors import DefinitionWarning


def key_warnings(key: ApiKey, streams: Container[str]) -> Iterator[DefinitionWarning]:
    """The warnings of a key. ``streams``: the named streams that there are."""
    for name in key.streams or ():
        if name not in streams:
            yield DefinitionWarning(
                "unknown_stream", "streams",
                f"there is no stream {name} yet: the key reads it once there is",
            )  # fmt: skip
    if (key.namespaces, key.types, key.streams) == (None, None, None):
        return
    if ADMIN in key.scopes:
        yield DefinitionWarning(
            "narrowed_admin", "scopes",
            "a narrowed key with admin has all other scopes, and cannot change what concerns the "
            "whole installation: keys, streams, event types, the repair, rejected input",
        )  # fmt: skip
    elif METRICS_READ in key.scopes:
        yield DefinitionWarning(
            "no_effect", "scopes",
            f"the metrics are of the whole installation: {METRICS_READ} allows a narrowed key "
            "nothing",
        )  # fmt: skip
