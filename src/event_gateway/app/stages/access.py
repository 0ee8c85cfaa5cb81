"""Builds what finds out who calls: the methods by which callers prove themselves."""

from dataclasses import dataclass

from event_gateway.api.access.api_keys import ApiKeys
from event_gateway.api.access.authenticator import Authenticator, AuthMethod
from event_gateway.api.access.browser_tokens import BrowserTokens
from event_gateway.api.access.mtls import ClientCertificates
from event_gateway.core.access.browser_token import signing_key


@dataclass(frozen=True, slots=True)
class Access:
    """The parts of this stage."""

    authenticator: Authenticator
    tokens: BrowserTokens


def build_access(
    admin_key: str, installation_key: bytes, certificates: ClientCertificates
) -> Access:
    """``installation_key``: the key of the registry, the same in every process."""
    tokens = BrowserTokens(signing_key(installation_key))
    # In the order in which they are asked: a method is asked only if those before it found no
    # credential of their own.
    methods: dict[str, AuthMethod] = {
        "browser_token": tokens,
        "api_key": ApiKeys(admin_key),
        "mtls": certificates,  # last: a client cannot leave its certificate out of one request
    }
    return Access(Authenticator(methods), tokens)
