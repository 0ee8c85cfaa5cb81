"""What can be wrong with what comes in, and the names of what can go wrong on the way out."""

from enum import StrEnum


class InvalidEvent(Exception):
    """What came in is no event that can be accepted.

    ``reason`` is a short word for counting and for the subject under which rejected input is kept
    (``malformed``, ``invalid``, ``unsupported``, ``reserved``, ``schema``); the text says what is
    wrong. ``path``: where in the data that is, a JSON Pointer; None where it is not about the data.
    """

    def __init__(self, reason: str, detail: str, path: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.path = path


class ServerRefused(Exception):
    """A server that the gateway was pointed at cannot be worked with; the text says what to do."""


class NewerFormat(Exception):
    """What is stored was written by a newer version of the gateway; the text says what and where.

    Nothing is done with it: who does not know all of a record cannot write it back.
    """

    def __init__(self, what: str, found: int, known: int) -> None:
        super().__init__(
            f"{what} has format {found}, this version knows {known}: it was written by a newer "
            "version of the gateway, which is needed to go on with it"
        )


class Conflict(Exception):
    """What is registered stands against a change; the text says what."""


class Unknown(Exception):
    """Nothing of that id or name is registered; the text says what."""


class InvalidDefinition(Exception):
    """A webhook, a stream or a pattern that cannot be registered; ``key`` says where."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(f"{key}: {detail}")
        self.key = key
        self.detail = detail


class ErrorType(StrEnum):
    """Why an attempt failed, as receivers' owners and metrics see it."""

    NAME_RESOLUTION = "NameResolution"
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECTION_RESET = "ConnectionReset"
    CONNECT_TIMEOUT = "ConnectTimeout"
    TLS_ERROR = "TlsError"
    RESPONSE_TIMEOUT = "ResponseTimeout"
    PROTOCOL_ERROR = "ProtocolError"
    RESPONSE_TOO_LARGE = "ResponseTooLarge"
    REDIRECT = "Redirect"
    CLIENT_ERROR = "ClientError"
    SERVER_ERROR = "ServerError"
    EGRESS_REFUSED = "EgressRefused"
    SECRET_MISSING = "SecretMissing"
    AUTH_ERROR = "AuthError"
    TRANSFORMATION_ERROR = "TransformationError"
    CONSENT_REFUSED = "ConsentRefused"
    EXPIRED = "Expired"
    EVENT_LOST = "EventLost"
