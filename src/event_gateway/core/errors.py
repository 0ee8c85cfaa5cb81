"""The errors of the core: refused events and definitions, and warnings about the latter."""

import msgspec


class InvalidEvent(Exception):
    """The input is not an event that the gateway accepts.

    ``reason`` is ``malformed``, ``invalid``, ``unsupported``, ``reserved``, ``schema``, or
    ``failed`` where a fault of the gateway is the cause: metrics count by it, and it is part of the
    subject under which rejected input is stored. ``detail`` says what is wrong. ``path`` is a JSON
    Pointer into the data; None where the data is not the cause.
    """

    def __init__(self, reason: str, detail: str, path: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.path = path


class ServerRefused(Exception):
    """The configured NATS or Redis server cannot be used; the text says what to do."""


class NewerFormat(Exception):
    """A stored record was written by a newer version of the gateway; the text says which.

    This version leaves such a record alone: it would lose fields that it does not know.
    """

    def __init__(self, what: str, found: int, known: int) -> None:
        super().__init__(
            f"{what} has format {found}, this version knows {known}: it was written by a newer "
            "version of the gateway, which is needed to go on with it"
        )


class Conflict(Exception):
    """A change contradicts what is registered; the text says what."""


class AlreadyExists(Conflict):
    """The id or the name is taken."""


class BeingDeleted(Conflict):
    """What is registered under the id is being deleted."""


class ChangedInBetween(Conflict):
    """Another caller has changed the definition since it was read; nothing was written."""


class NotRegistered(Exception):
    """Nothing with this id or name is registered; the text names it."""


class InvalidDefinition(Exception):
    """A definition (webhook, stream, filter, …) that cannot be registered; ``key`` is where."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(f"{key}: {detail}")
        self.key = key
        self.detail = detail


class DefinitionWarning(msgspec.Struct, frozen=True):
    """A definition is registered, and will not work as its owner may expect.

    ``code`` names the kind, for programs; ``key`` is where in the definition; ``detail`` says what
    will happen and what to do. The API answers them in ``warnings``, ``check`` prints them.
    """

    code: str
    key: str
    detail: str
