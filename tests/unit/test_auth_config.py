"""Mistakes in ``auth`` are named with their line and key, and what may surprise is warned of."""

from pathlib import Path

import pytest

from support.in_process import check
from support.issuers import jwk_set, public, rsa_key

JWT = "auth:\n  jwt:\n    - {issuer: https://idp.example.com, audience: gw"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("auth: {jwt: [{issuer: https://idp.example.com}]}", "auth.jwt[0].audience: is missing"),
        (f"{JWT}, jwks_url: 'file:///x'}}", ":3: auth.jwt[0].jwks_url: must begin with https"),
        (f"{JWT}, jwks_url: 'https://10.0.0.1/k'}}", "auth.jwt[0].jwks_url: 10.0.0.1 is in"),
        (f"{JWT}, jwks_url: 'http://a.example/k'}}", "auth.jwt[0].jwks_url: plain http"),
        ("auth: {jwt: [{issuer: 'http://10.1.1.1', audience: a}]}", "auth.jwt[0].issuer: 10.1.1.1"),
        ("auth: {jwt: [{issuer: acme, audience: a}]}", "auth.jwt[0]: has none of jwks_url, keys"),
        (f"{JWT}, keys: [nowhere.pem]}}", "auth.jwt[0].keys: SECRETS/nowhere.pem cannot be read"),
        (f"{JWT}, keys: short.json}}", "auth.jwt[0].keys: SECRETS/short.json: key 0: an RSA key"),
        (f"{JWT}, keys: good.json, secret_name: s}}", "secret_name: excludes keys"),
        (f"{JWT}, secret_name: short}}", "auth.jwt[0].secret_name: the secret short: a shared"),
        (f"{JWT}, algorithms: [HS256]}}", "auth.jwt[0].algorithms: HS256 is no algorithm"),
        (f"{JWT}, secret_name: s, algorithms: [RS256]}}", "RS256 is no algorithm for a shared"),
        (f"{JWT}, algorithms: [none]}}", "auth.jwt[0].algorithms[0]:"),
        (f"{JWT}, algorithms: []}}", "auth.jwt[0].algorithms: must have at least 1"),
        (f"{JWT}, audience: []}}", "audience"), (f"{JWT}, leeway: 1h}}", ".leeway: must"),
        (f"{JWT}, scopes: {{map: {{w: [events:publsh]}}}}}}",
         "auth.jwt[0].scopes.map.w[0]: 'events:publsh' is no scope; did you mean events:publish?"),
        (f"{JWT}, scope: x}}", "auth.jwt[0].scope: unknown key; did you mean scopes?"),
        (f"{JWT}}}\n    - {{issuer: https://idp.example.com, audience: b}}", "is there twice"),
        ("auth: {hmac: {a: {scopes: [admin]}}}", "auth.hmac.a: needs secret_name or public_keys"),
        ("auth: {hmac: {a: {secret_name: s}}}", "auth.hmac.a.scopes: is missing"),
        ("auth: {hmac: {a: {secret_name: short, scopes: [admin]}}}",
         "auth.hmac.a.secret_name: the secret short: a signing secret"),
        ("auth: {hmac: {a.b: {secret_name: s, scopes: [admin]}}}", "auth.hmac.a.b: an id has"),
        ("auth: {hmac: {admin: {secret_name: s, scopes: [admin]}}}", "name of the admin key"),
        ("auth: {hmac: {a: {public_keys: whsk_AAAA, scopes: [admin]}}}", "begins with whpk_"),
        ("auth: {hmac: {a: {public_keys: whpk_AAAA, scopes: [admin]}}}", "has 32 bytes"),
        ("auth: {allow_networks: [10.0.0.1/8]}", "auth.allow_networks: 10.0.0.1/8 has host bits"),
    ],
    ids=lambda value: value[-40:],
)  # fmt: skip
def test_mistakes(tmp_path: Path, text: str, said: str) -> None:
    result = check(_file(tmp_path, text))
    assert result.status == 2
    assert said.replace("SECRETS", str(tmp_path)) in result.err
    assert len(result.err.splitlines()) == 1


def _file(tmp_path: Path, text: str) -> Path:
    (tmp_path / "short.json").write_bytes(jwk_set(public(rsa_key(2, 1024))))
    (tmp_path / "good.json").write_bytes(jwk_set(public(rsa_key())))
    (tmp_path / "short").write_text("only a few bytes")
    (tmp_path / "long").write_text("x" * 64)
    path = tmp_path / "gateway.yaml"
    path.write_text(f"{text}\nsecrets: {{dir: {tmp_path}}}\n")
    return path


def test_warnings(tmp_path: Path) -> None:
    for more, warned in (
        ("", ""), (", secret_name: long", ""), (", keys: good.json", ""),
        (", secret_name: nowhere", "auth.jwt[0].secret_name: the secret nowhere is missing"),
        (", scopes: {claim: roles}", "auth.jwt[0].scopes: without a map"),
        (", scopes: {claim: roles, map: {a: [admin]}}", ""),
    ):  # fmt: skip
        result = check(_file(tmp_path, f"{JWT}{more}}}"))
        assert result.status == 0, result.err
        assert (warned in result.err) if warned else not result.err, result.err
