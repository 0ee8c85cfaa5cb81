"""A source as it is registered: whose requests it takes, how it verifies them, and which events
they become."""

import msgspec

# Origins of events that are no sources, and the source attribute of the gateway's own events.
RESERVED_NAMES = frozenset(("http", "nats", "event-gateway"))
MAX_TOLERANCE = 7 * 86400.0  # seconds


class Templates(msgspec.Struct, frozen=True, omit_defaults=True):
    """Templates of an event's attributes (:mod:`.template`); empty: the provider's."""

    type: str = ""
    subject: str = ""
    id: str = ""
    time: str = ""
    source: str = ""


class Settings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings of providers. Which of them a provider takes, it says itself.

    ``secret_name``: of the signing secret, key or password; ``header`` and ``query``: where the
    request has its signature or its key; ``algorithm``, ``encoding``, ``prefix``: of an HMAC;
    ``signed``: a template of what is signed; ``timestamp``: the header with the signed time;
    ``username``: for basic; ``public_key``: that verifies signatures; ``url``: under which the
    provider calls; ``topics``: of AWS SNS; ``issuer``, ``audience``, ``jwks_url``, ``email``: of
    tokens; ``subject``, ``dns``, ``uri``: of a client certificate.
    """

    secret_name: str = ""
    header: str = ""
    query: str = ""
    algorithm: str = ""
    encoding: str = ""
    prefix: str = ""
    signed: str = ""
    timestamp: str = ""
    username: str = ""
    public_key: str = ""
    url: str = ""
    topics: tuple[str, ...] = ()
    issuer: str = ""
    audience: str = ""
    jwks_url: str = ""
    email: str = ""
    subject: str = ""
    dns: str = ""
    uri: str = ""


class SourceDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A source. ``type``: the name of its provider. ``tolerance``: seconds between the signed time
    and the gateway's; None: the provider's. ``keep_refused``: refused requests are set aside."""

    name: str
    type: str
    settings: Settings = Settings()
    event: Templates = Templates()
    tolerance: float | None = None
    keep_refused: bool = False
    enabled: bool = True
    description: str = ""
    managed_by: str = "file"
    created_at: float = 0.0

    def given(self) -> frozenset[str]:
        """The names of the settings that it has."""
        return frozenset(msgspec.to_builtins(self.settings))
