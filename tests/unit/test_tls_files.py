"""The files of the gateway's own TLS: which are refused, and what happens while they change."""

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from event_gateway.api.http import server_tls
from event_gateway.api.http.server_tls import ServerTls, load_tls
from event_gateway.cli.commands.check import check_file
from event_gateway.config.server_model import TlsModel
from event_gateway.core.access.client_certificate import certificate_from_pem
from event_gateway.core.errors import InvalidDefinition
from support.certificates import IssuedFiles


def _model(issued: IssuedFiles, **more: Any) -> TlsModel:
    return TlsModel(**({"cert": "server.pem", "key": "server.key"} | more))


def _encrypted(key: bytes) -> bytes:
    encryption = BestAvailableEncryption(b"password")
    private = load_pem_private_key(key, None)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def test_a_file_that_cannot_be_used_is_named(
    issued: IssuedFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = issued.directory
    cert, key = ((folder / name).read_bytes() for name in ("server.pem", "server.key"))
    (folder / "damaged.pem").write_bytes(cert[:200] + b"!!" + cert[200:])
    (folder / "half.pem").write_bytes(cert + cert[:300])
    (folder / "encrypted.key").write_bytes(_encrypted(key))
    (folder / "damaged.key").write_bytes(key[:80] + b"!!" + key[80:])
    (folder / "empty").write_bytes(b"")
    (folder / "both.pem").write_bytes(cert + key)
    crl = issued.revoke().read_bytes()
    (folder / "half.crl").write_bytes(crl[: len(crl) // 2])
    ca = {"client_ca": "ca.pem"}
    faults: list[tuple[dict[str, str], str, str]] = [
        ({"cert": "none.pem"}, "cert", "cannot be read: No such file or directory"),
        ({"cert": "."}, "cert", "cannot be read: Is a directory"),
        ({"cert": "server.key"}, "cert", "server.key holds no certificate in PEM"),
        ({"cert": "empty"}, "cert", "empty holds no certificate in PEM"),
        ({"cert": "damaged.pem"}, "cert", "damaged.pem holds a damaged certificate"),
        ({"cert": "half.pem"}, "cert", "half.pem, server.key: bad end line"),
        ({"key": "none.key"}, "key", "cannot be read: No such file or directory"),
        ({"key": "server.pem"}, "key", "server.pem: holds no private key in PEM"),
        ({"key": "alice.key"}, "key", "the private key does not belong to the certificate"),
        ({"key": "encrypted.key"}, "key", "the private key is encrypted"),
        ({"key": "damaged.key"}, "key", "damaged.key: holds a damaged private key"),
        ({"client_ca": "none"}, "client_ca", "cannot be read"),
        ({"client_ca": "server.key"}, "client_ca", "server.key holds no certificate in PEM"),
        ({"client_ca": "damaged.pem"}, "client_ca", "damaged.pem holds a damaged certificate"),
        (ca | {"client_crl": "ca.pem"}, "client_crl", "ca.pem holds no list of revoked"),
        (ca | {"client_crl": "half.crl"}, "client_crl", "half.crl holds a damaged list"),
        ({"client_crl": "crl.pem"}, "", "client_crl needs client_ca"),
        ({"client_certificate": "required"}, "", "client_certificate: required needs client_ca"),
    ]
    file = tmp_path / "gateway.yaml"
    lines = ["secrets:", f"  dir: {folder}", "server:", "  tls:"]
    for settings, key_at_fault, reason in faults:
        given = {"cert": "server.pem", "key": "server.key"} | settings
        file.write_text("\n".join([*lines, *(f"    {name}: {given[name]}" for name in given)]))
        assert check_file(file) == 2, settings
        output = capsys.readouterr().err
        line = 5 + list(given).index(key_at_fault) if key_at_fault else 4
        where = ".".join(filter(None, ("server.tls", key_at_fault)))
        assert output.startswith(f"{file}:{line}: {where}: "), output
        assert reason in output, (settings, output)
        assert "PRIVATE KEY-----\n" not in output
    # One file may hold both.
    assert load_tls(TlsModel(cert="both.pem"), folder).expires_at > time.time()


def test_check_warns_of_what_will_not_work(
    issued: IssuedFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.yaml"
    begin = f"secrets: {{dir: {issued.directory}}}\nserver:\n"
    tls = "  tls: {cert: server.pem, key: server.key, client_ca: ca.pem, client_crl: crl.pem}\n"
    everywhere = "  host: 0.0.0.0\n"
    unprotected = "server.host: the API listens on 0.0.0.0 without TLS"
    issued.serve(days=400)
    issued.revoke()

    def warned(text: str) -> str:
        file.write_text(begin + text)
        assert check_file(file) == 0
        return capsys.readouterr().err

    assert warned(everywhere + tls) == ""
    assert unprotected in warned(everywhere)
    assert warned(everywhere + "  trusted_proxies: [10.0.0.0/8]\n") == ""
    assert warned("  host: localhost\n") == ""
    rule = "auth: {mtls: [{dns: a, name: a, scopes: [admin]}]}\n"
    assert "auth.mtls: no client can show a certificate" in warned("  port: 1\n" + rule)
    assert warned(tls + rule) == ""
    issued.revoke(days=-1)
    issued.serve(days=-1)
    output = warned(everywhere + tls)
    assert f"warning: {file}:4: server.tls.cert: the certificate expired on" in output
    assert "server.tls.client_crl: the list of revoked certificates ended on" in output
    issued.serve(days=5)
    assert "server.tls.cert: the certificate expires on" in warned(tls)


class _Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, text: str, **facts: object) -> None:
        self.lines.append(f"{text} {facts}")

    def info(self, text: str, **facts: object) -> None:
        self.lines.append(text)


def test_files_that_become_unusable_keep_the_former_ones_and_are_logged_once(
    issued: IssuedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _Log()
    monkeypatch.setattr(server_tls, "log", log)
    issued.serve(days=100)
    ends: list[float] = []
    tls = ServerTls(_model(issued, client_ca="ca.pem"), issued.directory, ends.append)
    former = tls.context()
    tls.renew()
    assert (tls.context(), log.lines) == (former, [])
    cert, key = issued.serve(days=200)
    right = key.read_bytes()
    key.write_bytes(right[:100])
    for _ in range(3):
        tls.renew()
    cert.unlink()
    for _ in range(3):
        tls.renew()
    assert tls.context() is former
    named = [line.partition("server.tls.")[2].partition(":")[0] for line in log.lines]
    assert named == ["key", "cert"]
    issued.serve(days=300)
    tls.renew()
    assert tls.context() is not former
    assert log.lines[2:] == ["TLS files renewed"]
    assert [round((end - time.time()) / 86400) for end in ends] == [100, 300]
    with pytest.raises(InvalidDefinition):
        tls.configure(_model(issued, cert="none"), issued.directory)
    tls.renew()
    assert log.lines[3:] == []


def test_revoked_certificates_are_known_at_once(issued: IssuedFiles) -> None:
    crl = issued.revoke()
    model = _model(issued, client_ca="ca.pem", client_crl="crl.pem")
    tls = ServerTls(model, issued.directory, lambda end: None)
    alice = issued.directory / "alice.pem"
    certificate = certificate_from_pem(alice.read_bytes())
    assert tls.refuses(certificate) is None
    issued.revoke(alice)
    tls.renew()
    assert tls.refuses(certificate) == "the client certificate is revoked"
    assert tls.refuses(msgspec.structs.replace(certificate, issuer="CN=other")) is None
    crl.unlink()
    tls.renew()
    assert tls.refuses(certificate) is not None  # the former list stays
