"""Certificates that a proxy tells, once other proxies are believed."""

from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.access.mtls import ClientCertificates
from event_gateway.api.http.peer import PEER, Peer
from event_gateway.core.access.certificate_rule import CertificateRule
from event_gateway.core.access.client_certificate import ClientCertificate
from event_gateway.core.access.trusted_proxies import TrustedProxies

RULE = CertificateRule(name="orders", scopes=frozenset({"streams:read"}), uri="spiffe://x/orders")
PROXIES = ["10.0.0.0/8"]


async def _no_body() -> bytes:
    return b""


class _Own(Peer):
    """A client whose certificate the gateway itself has verified."""

    def certificate(self, headers: object) -> ClientCertificate | None:
        return ClientCertificate(
            uris=("spiffe://x/orders",), serial="5", authorities=frozenset("a")
        )


def _request(peer: Peer) -> CallerRequest:
    scope = {
        "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", PEER: peer,
        "headers": [(b"x-forwarded-client-cert", b"URI=spiffe://x/orders")],
    }  # fmt: skip
    return CallerRequest(scope, _no_body)


async def test_callers_of_a_proxy_are_not_valid_once_it_is_not_believed() -> None:
    proxies = TrustedProxies(PROXIES, "x-forwarded-for", True)
    certificates = ClientCertificates([RULE], lambda _: None, lambda _origin, _host: True)
    told = certificates.authenticate(_request(Peer("10.0.0.1", 1, "http", proxies)))
    own = certificates.authenticate(_request(_Own()))
    assert told is not None
    assert own is not None
    assert not proxies.configure(PROXIES, "forwarded", True)  # the same proxies
    assert certificates.still_valid(told)
    assert proxies.configure([], "forwarded", True)
    certificates.forget_forwarded()
    assert not certificates.still_valid(told)
    assert certificates.still_valid(own)
    assert proxies.configure(PROXIES, "forwarded", True)
    again = certificates.authenticate(_request(Peer("10.0.0.1", 1, "http", proxies)))
    assert again == told
    assert certificates.still_valid(told)
