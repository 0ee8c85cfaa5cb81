"""Rules that say whose a client certificate is: exact names, or one star between two parts."""

import re
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from event_gateway.config.mtls_model import MtlsRuleModel
from event_gateway.core.access.client_certificate import (
    MAX_NAMES,
    ClientCertificate,
    UnreadableCertificate,
    certificate_from_der,
    certificate_from_pem,
)
from support.certificates import IssuedFiles

ORDERS = ClientCertificate(
    subject="CN=orders,OU=Sales\\, EU,O=Example",
    dns=("orders.prod.example.com",),
    uris=("spiffe://example.com/ns/prod/sa/orders",),
    emails=("orders@example.com",),
)


def _rule(**names: str) -> MtlsRuleModel:
    return MtlsRuleModel(name="orders", scopes=["events:publish"], **names)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "text", "fits"),
    [
        ("subject", "CN=orders,OU=Sales\\, EU,O=Example", True),
        ("subject", "CN=orders, OU=Sales\\, EU, O=Example", True),
        ("subject", "CN=*,OU=Sales\\, EU,O=Example", True),
        ("subject", "CN=ord*s,OU=Sales\\, EU,O=Example", True),
        ("subject", "CN=*,O=Example", False),  # a star does not take the place of an attribute
        ("subject", "CN=orders", False),
        ("subject", "CN=order,OU=Sales\\, EU,O=Example", False),
        ("subject", "CN=Orders,OU=Sales\\, EU,O=Example", False),
        ("subject", "O=Example,OU=Sales\\, EU,CN=orders", False),  # the order counts
        ("subject", "OU=orders,OU=Sales\\, EU,O=Example", False),
        ("subject", "CN=orders*,OU=Sales\\, EU,O=Example", False),  # one or more characters
        ("dns", "orders.prod.example.com", True),
        ("dns", "ORDERS.prod.Example.com", True),
        ("dns", "*.prod.example.com", True),
        ("dns", "orders.*.example.com", True),
        ("dns", "*.example.com", False),  # not a dot
        ("dns", "example.com", False),
        ("dns", "orders.prod.example.com.evil.test", False),
        ("uri", "spiffe://example.com/ns/prod/sa/*", True),
        ("uri", "spiffe://example.com/ns/*/sa/orders", True),
        ("uri", "spiffe://example.com/*", False),  # not a slash
        ("uri", "spiffe://example.com/ns/prod/sa/order", False),
        ("uri", "spiffe://EXAMPLE.com/ns/prod/sa/orders", False),
        ("email", "*@example.com", True),
        ("email", "orders@*", True),
        ("email", "*example.com", False),
    ],
)
def test_a_name_is_exact_or_has_one_star(key: str, text: str, fits: bool) -> None:
    assert _rule(**{key: text}).rule().matches(ORDERS) is fits


def test_all_names_of_a_rule_must_fit() -> None:
    both = {"subject": ORDERS.subject, "dns": "*.prod.example.com"}
    assert _rule(**both).rule().matches(ORDERS)
    assert not _rule(**both | {"dns": "*.test.example.com"}).rule().matches(ORDERS)
    assert not _rule(**both, uri="spiffe://x").rule().matches(ORDERS)
    nobody = ClientCertificate()
    for key in ("subject", "dns", "uri", "email"):
        assert not _rule(**{key: f"{'CN=' if key == 'subject' else 'a'}*"}).rule().matches(nobody)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs one of subject, dns, uri, email"),
        ({"subject": "orders"}, "is no subject as RFC 4514 writes it"),
        ({"subject": "CN="}, "is no subject as RFC 4514 writes it"),
        ({"subject": "CN=*,O=*"}, "has more than one *"),
        ({"dns": "*.*.example.com"}, "has more than one *"),
        ({"uri": "*"}, "would be any name"),
        ({"dns": "a", "scopes": ["events:publsh"]}, "is no scope; did you mean events:publish"),
        ({"dns": "a", "scopes": []}, "at least 1 item"),
        ({"dns": "a", "types": ["a..b"]}, "has an empty token"),
        ({"dns": "a", "name": "admin"}, "is the name of the admin key"),
        ({"dns": "a", "name": "a b"}, "should match pattern"),
    ],
)
def test_a_rule_that_would_not_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        MtlsRuleModel(**{"name": "x", "scopes": ["events:publish"]} | settings)


def test_a_certificate_says_who_holds_it(issued: IssuedFiles) -> None:
    cert, _ = issued.issue(
        "bob", x509.DNSName("bob.test"), x509.UniformResourceIdentifier("spiffe://x/bob"),
        x509.RFC822Name("bob@test"),
    )  # fmt: skip
    found = certificate_from_pem(cert.read_bytes())
    assert (found.subject, found.issuer) == ("CN=bob", "CN=test authority")
    assert (found.dns, found.uris, found.emails) == (
        ("bob.test",),
        ("spiffe://x/bob",),
        ("bob@test",),
    )
    names = [x509.DNSName(f"{number}.test") for number in range(MAX_NAMES + 1)]
    many, _ = issued.issue("many", *names)
    with pytest.raises(UnreadableCertificate, match="more than 100"):
        certificate_from_pem(many.read_bytes())


def test_a_certificate_of_an_unknown_version_is_unreadable(issued: IssuedFiles) -> None:
    cert, _ = issued.issue("bob")
    der = x509.load_pem_x509_certificate(cert.read_bytes()).public_bytes(Encoding.DER)
    version_3, version_6 = bytes.fromhex("a003020102"), bytes.fromhex("a003020105")
    assert version_3 in der
    with pytest.raises(UnreadableCertificate, match="version"):
        certificate_from_der(der.replace(version_3, version_6, 1))
