"""Tokens: which are valid, and which keys may say so."""

import json
import re
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc.jwk import ECKey, Key
from joserfc.util import urlsafe_b64encode

from event_gateway.core.access.issuer import ClaimRule, Issuer, TokenHolder, token_holder
from event_gateway.core.access.token import (
    MAX_LENGTH,
    TokenRefused,
    UnknownKey,
    looks_like_token,
    read_token,
    signer_of,
)
from event_gateway.core.access.verification_keys import (
    MAX_KEYS,
    PUBLIC_KEY,
    UnusableKeys,
    VerificationKeys,
    read_jwk_set,
    read_key_file,
    shared_key,
)
from support.certificates import Authority
from support.issuers import (
    AUDIENCE,
    claims_of,
    ec_key,
    ed_key,
    encoded,
    jwk_set,
    public,
    rsa_key,
    signed,
    signed_by_secret,
    signed_parts,
)

ISSUER = "https://idp.example.com"
SECRET = "a shared secret of some 64 bytes, which is enough for each of them"


def issuer(**settings: Any) -> Issuer:
    defaults: dict[str, Any] = {
        "name": ISSUER, "audience": frozenset((AUDIENCE,)), "algorithms": frozenset(PUBLIC_KEY),
        "leeway": 60.0, "scopes": ClaimRule("scope"), "caller_name": "sub",
    }  # fmt: skip
    return Issuer(**(defaults | settings))


def holder(token: str, keys: VerificationKeys, by: Issuer | None = None) -> TokenHolder:
    """Whom a token shows."""
    by = by or issuer()
    read = read_token(token)
    key = signer_of(read, keys, by.algorithms)
    return token_holder(by, read.claims, key.thumbprint, time.time())


KEYS: list[tuple[str, Key]] = [
    *((name, rsa_key()) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ("ES256", ec_key()), ("ES384", ec_key("P-384")), ("ES512", ec_key("P-521")),
    ("EdDSA", ed_key()), ("Ed25519", ed_key()),
]  # fmt: skip


@pytest.mark.parametrize(("algorithm", "key"), KEYS, ids=[name for name, _ in KEYS])
@pytest.mark.parametrize("form", ["jwk", "pem", "single"])
def test_a_token_of_each_algorithm(algorithm: str, key: Key, form: str) -> None:
    pem = key.as_pem(private=False)  # type: ignore[union-attr]
    keys = {
        "jwk": lambda: read_jwk_set(jwk_set(public(key, kid="a", use="sig", key_ops=["verify"]))),
        "pem": lambda: read_key_file(b"a comment\n" + pem),
        "single": lambda: read_key_file(json.dumps(public(key)).encode()),
    }[form]()
    claims = claims_of(ISSUER, scope="events:publish admin other")
    shown = holder(signed(key, algorithm, claims, kid="a", typ="at+jwt"), keys)
    assert shown.scopes == {"events:publish", "admin"}
    assert (shown.method, shown.id, shown.name) == ("jwt", f"{ISSUER} service-1", "service-1")
    assert shown.expires_at == claims["exp"] + 60
    # Another key of the kind, a changed payload, and a signature with one byte less or more.
    others: dict[str, Key] = {"RSA": rsa_key(1), "OKP": ed_key(1)}
    other = others.get(key.key_type) or ec_key(str(key["crv"]), 1)
    assert_refused(signed(other, algorithm, claims, kid="a"), keys, "signature|no key")
    head, payload, signature = signed(key, algorithm, claims, kid="a").split(".")
    changed = encoded({**claims, "sub": "admin"}).decode()
    assert_refused(f"{head}.{changed}.{signature}", keys, "signature|no key")
    for wrong in (signature[:-4], signature + "AAAA", "", "A" * len(signature)):
        assert_refused(f"{head}.{payload}.{wrong}", keys, "signature|no key|base64url")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_shared_secret(algorithm: str) -> None:
    by = issuer(algorithms=frozenset(("HS256", "HS384", "HS512")))
    token = signed_by_secret(SECRET, algorithm, claims_of(ISSUER))
    assert holder(token, shared_key(SECRET), by).name == "service-1"
    assert_refused(token, shared_key(SECRET + "x"), "no key", by)
    with pytest.raises(UnusableKeys, match="32 bytes"):
        shared_key("x" * 31)
    short = shared_key("x" * 40)  # long enough for HS256 alone
    assert short.keys[0].algorithms == {"HS256"}
    for text in (rsa_key().as_pem(private=False).decode(), json.dumps(public(rsa_key()))):
        with pytest.raises(UnusableKeys, match="another kind"):
            shared_key(text)


def assert_refused(
    token: str, keys: VerificationKeys, why: str, by: Issuer | None = None
) -> TokenRefused:
    with pytest.raises(TokenRefused, match=why) as refused:
        holder(token, keys, by)
    return refused.value


def test_hostile_headers() -> None:
    key, attacker = rsa_key(), rsa_key(1)
    keys = read_jwk_set(jwk_set(public(key, kid="a")))
    claims = claims_of(ISSUER, scope="admin")
    pem = key.as_pem(private=False).decode()
    # RS to HS: the public key as the secret.
    assert_refused(signed_by_secret(pem, "HS256", claims, kid="a"), keys, "HS256 is not allowed")
    everything = issuer(algorithms=frozenset((*PUBLIC_KEY, "HS256")))
    assert_refused(signed_by_secret(pem, "HS256", claims, kid="a"), keys, "signature", everything)
    for none in ("none", "None", "NONE", "nOnE", "", None, 5, ["RS256"], "RS1", "ES256K", "A" * 99):
        token = f"{encoded({'alg': none}).decode()}.{encoded(claims).decode()}."
        assert_refused(token, keys, "algorithm is not allowed")
    # What the token says of its key is ignored.
    jwk = public(attacker, kid="a")
    for header in ({"jwk": jwk}, {"jku": "https://evil.example/k"}, {"x5u": "https://evil.example/"},
                   {"x5c": ["MIIB"]}, {"x5t": "x"}):  # fmt: skip
        assert_refused(signed(attacker, "RS256", claims, kid="a", **header), keys, "signature")
        assert_refused(signed(attacker, "RS256", claims, **header), keys, "no key")
        assert holder(signed(key, "RS256", claims, kid="a", **header), keys).name == "service-1"
    for kid in ("b", "../../../dev/null", "a' OR '1'='1", "", "a\0", "A"):
        with pytest.raises(UnknownKey):
            holder(signed(key, "RS256", claims, kid=kid), keys)
    for odd in (5, ["a"], {"a": 1}, True, "k" * 257):
        assert_refused(signed(key, "RS256", claims, kid=odd), keys, "key id is not valid")
    for name in ("crit", "b64", "enc"):
        assert_refused(signed(key, "RS256", claims, kid="a", **{name: ["b64"]}), keys, "demands")
    for kind in ("id+jwt", "logout+jwt", "dpop+jwt", 5, "secevent+jwt"):
        assert_refused(signed(key, "RS256", claims, kid="a", typ=kind), keys, "no access token")
    for kind in ("JWT", "at+jwt", "application/AT+JWT"):
        assert holder(signed(key, "RS256", claims, kid="a", typ=kind), keys)
    # An algorithm that the key is not for.
    rs512 = read_jwk_set(jwk_set(public(key, kid="a", alg="RS512")))
    assert_refused(signed(key, "RS256", claims, kid="a"), rs512, "signature")
    only = issuer(algorithms=frozenset(("ES256",)))
    assert_refused(signed(key, "RS256", claims, kid="a"), keys, "RS256 is not allowed", only)


def test_hostile_forms() -> None:
    key = rsa_key()
    keys = read_jwk_set(jwk_set(public(key, kid="a")))
    good, claims = '{"alg":"RS256","kid":"a"}', json.dumps(claims_of(ISSUER))
    assert holder(signed_parts(key, "RS256", good, claims), keys)
    twice = claims[:-1] + ',"sub":"admin"}'
    nested = claims[:-1] + ',"realm_access":{"roles":[],"roles":["admin"]}}'
    wrong = [
        (good, twice), (good, nested), ('{"alg":"none","alg":"RS256","kid":"a"}', claims),
        (good, "[]"), (good, '"x"'), (good, ""), ("[]", claims), (good, "{" * 5000),
        (good, claims + "x"), ("\ufeff" + good, "\x00"),
    ]  # fmt: skip
    for header, payload in wrong:
        assert_refused(signed_parts(key, "RS256", header, payload), keys, "JSON|no object|base64")
    token = signed_parts(key, "RS256", good, claims)
    head, payload, signature = token.split(".")
    for text in (f"{head}.{payload}.{signature}=", f"{head}.{payload} .{signature}",
                 f"{head}.{payload}+.{signature}", f"{head}.é.{signature}", f"..{signature}",
                 f"{head}.{payload}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}"):  # fmt: skip
        assert_refused(text, keys, "base64url|JSON|signature")
    large = claims_of(ISSUER, scope="x" * MAX_LENGTH)
    assert_refused(signed(key, "RS256", large, kid="a"), keys, "more than")
    assert not looks_like_token("egk_abc.def.ghi")
    assert not looks_like_token(f"{token}.{token}")
    assert looks_like_token(token)
    # An ES signature is two numbers of fixed length, and no DER; zeros are none.
    curve = ec_key()
    es = read_jwk_set(jwk_set(public(curve, kid="e")))
    head = encoded({"alg": "ES256", "kid": "e"}).decode()
    content = f"{head}.{encoded(claims).decode()}"
    private = curve.private_key
    assert private is not None
    der = private.sign(content.encode(), ec.ECDSA(hashes.SHA256()))
    for forged in (der, bytes(64), bytes(63), b"\1" * 64, b"\xff" * 64):
        assert_refused(f"{content}.{urlsafe_b64encode(forged).decode()}", es, "signature")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "other"}, "audience"), ({"aud": None}, "audience"), ({"aud": ["a"]}, "audience"),
        ({"aud": {"event-gateway": 1}}, "audience"), ({"aud": [["event-gateway"]]}, "audience"),
        ({"exp": None}, "when it expires"), ({"exp": "9999999999"}, "exp is no number"),
        ({"exp": True}, "exp is no number"), ({"exp": float("nan")}, "exp is no time"),
        ({"exp": float("inf")}, "exp is no time"), ({"exp": 10**400}, "exp is no time"),
        ({"exp": 1_000_000_000}, "has expired"), ({"exp": -1}, "has expired"),
        ({"nbf": 9_999_999_999}, "not valid yet"), ({"iat": 9_999_999_999.5}, "not valid yet"),
        ({"nbf": "x"}, "nbf is no number"), ({"iat": [1]}, "iat is no number"),
        ({"at_hash": "x"}, "ID token"), ({"c_hash": "x"}, "ID token"),
        ({"typ": "ID"}, "no access token"), ({"typ": "Refresh"}, "no access token"),
        ({"sub": None}, "of whom"), ({"sub": 5}, "of whom"), ({"sub": "x" * 300}, "of whom"),
        ({"sub": "a\nb"}, "of whom"), ({"scope": ["x"] * 300}, "values"),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
def test_claims_that_are_refused(claims: dict[str, Any], why: str) -> None:
    keys = read_jwk_set(jwk_set(public(rsa_key(), kid="a")))
    refused = assert_refused(signed(rsa_key(), "RS256", claims_of(ISSUER, **claims)), keys, why)
    # The caller is told about time, and of nothing else what would be right.
    told = {"has expired": "the token has expired", "not valid yet": "the token is not valid yet"}
    assert refused.description == told.get(why, "the token is not valid")


def test_claims_within_the_leeway_and_in_other_forms() -> None:
    keys = read_jwk_set(jwk_set(public(rsa_key(), kid="a")))
    now = time.time()
    for claims in ({"exp": now - 50}, {"nbf": now + 50, "iat": now + 50}, {"exp": now + 1.5},
                   {"aud": ["other", AUDIENCE]}, {"typ": "Bearer"}):  # fmt: skip
        assert holder(signed(rsa_key(), "RS256", claims_of(ISSUER, **claims)), keys)
    shown = holder(signed(rsa_key(), "RS256", claims_of(ISSUER, sub=None, azp="app")), keys)
    assert (shown.id, shown.name, shown.scopes) == (f"{ISSUER} app", "app", frozenset())


@pytest.mark.parametrize(
    ("claims", "rule", "scopes"),
    [
        ({"scp": ["events:publish", 5, ""]}, ClaimRule("scp"), {"events:publish"}),
        ({"scope": "admin  streams:read"}, ClaimRule("scope"), {"admin", "streams:read"}),
        ({"roles": ["admin"]}, ClaimRule("roles", (("operator", ("admin",)),)), set()),
        ({"realm_access": {"roles": ["writer", "x"]}},
         ClaimRule("realm_access.roles", (("writer", ("events:publish", "events:read")),)),
         {"events:publish", "events:read"}),
        ({"https://a.example/roles": ["admin"]}, ClaimRule("https://a.example/roles"), {"admin"}),
        ({"resource_access": {"my.app": {"roles": ["admin"]}}},
         ClaimRule("resource_access.my.app.roles"), {"admin"}),
        ({"sub": "repo:a/b:environment:My production"},
         ClaimRule("sub", (("repo:a/b:environment:My production", ("admin",)),)), {"admin"}),
        ({"roles": "admin"}, ClaimRule("roles.admin"), set()),
        ({"scope": {"admin": True}}, ClaimRule("scope"), set()),
    ],
)  # fmt: skip
def test_scopes_of_claims(claims: dict[str, Any], rule: ClaimRule, scopes: set[str]) -> None:
    assert _shown(claims, scopes=rule).scopes == scopes


def _shown(claims: dict[str, Any], **settings: Any) -> TokenHolder:
    return token_holder(issuer(**settings), claims_of(ISSUER, **claims), "key", time.time())


def test_what_narrows() -> None:
    rule = ClaimRule("tenants")
    assert _shown({"tenants": ["a", "b", "a"]}, namespaces=rule).namespaces == ("a", "b")
    assert _shown({"tenants": "a b"}, streams=rule).streams == ("a", "b")
    assert _shown({"tenants": ["a.>", "..", "b"]}, types=rule).types == ("a.>", "b")
    # Without the claim nothing is allowed, rather than everything.
    assert _shown({}, namespaces=rule).namespaces == ()
    assert _shown({}, namespaces=rule).confined
    assert _shown({"tenants": ["*", "a"]}, namespaces=rule).namespaces is None
    mapped = ClaimRule("tenants", (("platform", ("*",)), ("shop", ("orders", "carts"))))
    assert _shown({"tenants": ["shop"]}, namespaces=mapped).namespaces == ("orders", "carts")
    assert _shown({"tenants": ["orders", "*"]}, namespaces=mapped).namespaces == ()
    assert _shown({"tenants": ["platform"]}, namespaces=mapped).namespaces is None
    assert _shown({"email": "a@b.example"}, caller_name="email").name == "a@b.example"
    assert len(_shown({"email": "x" * 999}, caller_name="email").name) == 128
    assert _shown({"email": "a\x1b[2J"}, caller_name="email").name == "service-1"
    assert _shown({"sub": "admin"}).name == f"admin of {ISSUER}"  # no name of the admin key
    assert hash(_shown({"tenants": ["shop"]}, namespaces=mapped))


def test_keys_that_are_left_out() -> None:
    good = public(rsa_key(), kid="good")
    numbers = {"kty": "RSA", "n": public(rsa_key())["n"]}
    wide = urlsafe_b64encode(((1 << 16384) + 1).to_bytes(2049, "big")).decode()
    bad: list[tuple[Any, str]] = [
        (public(rsa_key(2, 1024), kid="b"), "1024"),
        ({**numbers, "e": "AQ"}, "exponent"), ({**numbers, "e": "BA"}, "exponent"),
        ({**numbers, "e": urlsafe_b64encode(b"\xff" * 9).decode()}, "exponent"),
        ({**numbers, "e": "AQAB", "n": wide}, "as text|bits"),
        ({**numbers, "e": "A+AB"}, "base64url"), ({**numbers, "e": 3}, "as text"),
        ({**numbers, "e": "é"}, "base64url"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "no secret"), ("text", "no object"),
        (public(rsa_key(1), use="tls"), "use"), (public(rsa_key(1), key_ops=["sign"]), "key_ops"),
        (public(rsa_key(1), key_ops="verify"), "key_ops"), (public(rsa_key(1), kid=5), "kid"),
        (public(rsa_key(1), alg="ES256"), "alg"), (public(rsa_key(1), alg="RSA-OAEP"), "alg"),
        (public(rsa_key(1), alg=["RS256"]), "alg"), (public(rsa_key(1), alg="none"), "alg"),
        (public(ec_key(), alg="ES384"), "alg"), ({"kty": "EC", "crv": "P-256"}, "as text"),
        ({**public(ec_key()), "y": public(ec_key(number=1))["y"]}, "damaged"),
        ({**public(ec_key()), "crv": "secp256k1"}, "curve"),
        ({**public(ed_key()), "crv": "X25519"}, "curve"), ({"kty": "AKP"}, "kty"),
        (public(rsa_key(1), kid="good"), "another key"), (good, "another key"),
    ]  # fmt: skip
    for jwk, why in bad:
        keys = read_jwk_set(jwk_set(good, jwk))
        assert len(keys.keys) == 1, (jwk, why)
        assert re.search(why, keys.left_out[0]), (jwk, keys.left_out)
    # A key for encryption is nothing to warn of; the same id may name keys of two types.
    both = read_jwk_set(jwk_set(good, public(rsa_key(1), kid="e", use="enc"),
                                public(ec_key(), kid="good")))  # fmt: skip
    assert len(both.keys) == 2
    assert both.left_out == ()
    # A private key that the issuer publishes by mistake is used for its public part alone.
    private = read_jwk_set(jwk_set({**rsa_key().as_dict(private=True), "kid": "p"}))
    assert "d" not in private.keys[0].key.as_dict()
    many = read_jwk_set(jwk_set(*(public(ed_key(), kid=f"k{n}") for n in range(MAX_KEYS + 9))))
    assert len(many.keys) == MAX_KEYS
    assert "after the first" in many.left_out[0]
    for raw in (b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys":[],"keys":[]}', b"\xff", b"<html>"):
        with pytest.raises(UnusableKeys):
            read_jwk_set(raw)
    assert read_jwk_set(b'{"keys": []}').keys == ()


def test_keys_in_files(tmp_path: Any) -> None:
    pair = rsa_key().as_pem(private=False) + ec_key().as_pem(private=False)
    assert len(read_key_file(pair).keys) == 2
    certificate = Authority(tmp_path).certificate.public_bytes(Encoding.PEM)
    assert read_key_file(certificate).keys[0].algorithms == {"ES256"}
    other = ec.generate_private_key(ec.SECP256K1())
    pem = Encoding.PEM
    for raw, why in (
        (rsa_key().as_pem(private=True), "private key"),
        (other.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()), "private key"),
        (other.public_key().public_bytes(pem, PublicFormat.SubjectPublicKeyInfo), "curve"),
        (rsa_key(2, 1024).as_pem(private=False), "1024"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "damaged"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "damaged"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA", "no key"),
        (b"ssh-rsa AAAA", "neither"), (b'{"keys": []}', "no key"),
        (jwk_set(public(rsa_key(2, 1024))), "1024"), (b"[]", "no JWK set"),
    ):  # fmt: skip
        with pytest.raises(UnusableKeys, match=why):
            read_key_file(raw)
    assert isinstance(read_key_file(pair).keys[1].key, ECKey)


def test_a_token_without_a_key_id_is_tried_with_few_keys() -> None:
    many = read_jwk_set(jwk_set(*(public(ed_key(n), kid=f"k{n}") for n in range(20))))
    claims = claims_of(ISSUER)
    assert holder(signed(ed_key(15), "EdDSA", claims), many)
    with pytest.raises(UnknownKey):
        holder(signed(ed_key(16), "EdDSA", claims), many)
    assert holder(signed(ed_key(16), "EdDSA", claims, kid="k16"), many)
