"""Why delivery attempts fail."""

from enum import StrEnum


class AttemptErrorType(StrEnum):
    """Why an attempt failed, as the API and the metrics name it."""

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
