"""What a webhook may set as a header, sign with, and name as its secret."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.webhook.headers import header_problems
from event_gateway.core.webhook.security import Security, is_sealing_key
from event_gateway.core.webhook.security_rules import security_problems
from event_gateway.core.webhook.signing_keys import check_keys, signer
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.private_files import PrivateFiles
from event_gateway.transport.tls_files import TlsFiles

RESERVED = (
    "Host", "host", "HOST", "Content-Length", "Content_Length", "content_length", "Content_Type",
    "Content-Encoding", "Transfer-Encoding", "Transfer_Encoding", "TRANSFER_ENCODING", "TE",
    "Trailer", "Connection", "Keep-Alive", "keep_alive", "Proxy-Connection", "Proxy_Connection",
    "Proxy-Foo", "Upgrade", "HTTP2-Settings", "Expect", "User_Agent", "traceparent", "Trace_Parent",
    "tracestate", "webhook-id", "Webhook_Id", "WebHook-Signature", "webhook_timestamp",
    "Webhook-Anything", "ce-id", "CE_Type", "ce-x", "X-Event-Gateway-Attempt",
    "X_Event_Gateway_Attempt", "x-event-gateway-other",
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name in RESERVED if name != "Trace_Parent"])
def test_reserved_headers_are_refused_in_any_spelling(name: str) -> None:
    (problem,) = header_problems({name: "v"})
    assert problem.key == f"headers.{name}"
    api_key = Security("api_key", secret_name="s", header=name)
    problems = list(security_problems((api_key,), lambda *_: None, frozenset(), any_file=False))
    assert [problem.key for problem in problems] == ["security[0].header"]


def test_other_headers_are_taken() -> None:
    assert not list(header_problems({"X-Tenant": "a", "X_Other": "b", "Hostess": "c", "Cette": "d",
                                     "Accept": "e", "X-Webhook-Id": "f"}))  # fmt: skip


def test_two_spellings_of_one_header_are_refused() -> None:
    (problem,) = header_problems({"X-Tenant": "a", "x_tenant": "b"})
    assert (problem.key, "X-Tenant" in problem.detail) == ("headers.x_tenant", True)
    api_key = Security("api_key", secret_name="s", header="X_Tenant")
    (problem,) = security_problems((api_key,), lambda *_: None, frozenset(("x-tenant",)), False)
    assert "is also in headers" in problem.detail
    for name in ("Authorization", "authorization", "Proxy_Authorization"):
        (problem,) = header_problems({name: "v"})
        assert "clear text" in problem.detail


def _key(size: int, *, padded: bool = True) -> str:
    text = base64.b64encode(b"k" * size).decode()
    return text if padded else text.rstrip("=")


@pytest.mark.parametrize("prefix", ["whsec_", ""])
def test_a_signing_secret_has_24_to_64_bytes(prefix: str) -> None:
    for size in (0, 1, 16, 23, 65, 100):
        for padded in (True, False):
            with pytest.raises(ValueError, match="24 to 64 bytes"):
                signer(prefix + _key(size, padded=padded))
    for size in range(24, 65):
        signed = {signer(prefix + _key(size, padded=padded))(b"x") for padded in (True, False)}
        assert len(signed) == 1


def test_padding_may_be_left_out_and_must_be_right_where_it_is() -> None:
    seed = base64.b64encode(b"s" * 32).decode()
    check_keys(f"whsec_{_key(25, padded=False)} whsk_{seed.rstrip('=')} {_key(24)}")
    for wrong in (_key(25)[:-1], _key(25) + "=", _key(24) + "A", "=" * 40, _key(24)[:-1] + "*"):
        with pytest.raises(ValueError, match="base64"):
            check_keys(wrong)


@pytest.mark.parametrize("name", ["sealing_key", "sealing-key", "sealing.key", "SEALING_KEY",
                                  "Sealing.Key", "sealing.KEY", "SEALING-key"])  # fmt: skip
def test_no_name_is_that_of_the_sealing_key(name: str, tmp_path: Path) -> None:
    assert is_sealing_key(name)
    (tmp_path / name).write_text("the key")
    environ = {"S_SEALING_KEY": "the key"}
    external = ExternalSecrets(environ, "S_", tmp_path)
    assert (external.find(name), external.sealing_key()) == (None, "the key")
    bearer = Security("bearer_token", secret_name=name)
    (problem,) = security_problems((bearer,), lambda *_: None, frozenset(), any_file=True)
    assert problem.key == "security[0].secret_name"
    assert is_sealing_key("sealing_keys") is False


def _symlink(target: Path, at: Path) -> None:
    at.symlink_to(target)


def _hard_link(target: Path, at: Path) -> None:
    os.link(target, at)


@pytest.mark.parametrize("link", [_symlink, _hard_link])
@pytest.mark.parametrize("file", ["sealing.key", "admin.key", "servers.json", "nats.conf"])
def test_no_link_leads_to_a_file_of_the_data_directory(
    link: Callable[[Path, Path], None], file: str, tmp_path: Path
) -> None:
    data, secrets = tmp_path / "data", tmp_path / "secrets"
    data.mkdir()
    secrets.mkdir()
    (data / file).write_text("private")
    link(data / file, secrets / "token")
    (secrets / "good").write_text("value")
    external = ExternalSecrets({}, "S_", secrets, PrivateFiles(data), data / "sealing.key")
    assert external.refuses("token")
    assert (external.find("token"), external.find("good")) == (None, ("file", "value"))


def test_the_sealing_key_is_private_wherever_it_is(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.key"
    elsewhere.write_text("the key")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "sealing_key").write_text("the key")
    (tmp_path / "secrets" / "alias").symlink_to("sealing_key")
    (tmp_path / "secrets" / "other").symlink_to(elsewhere)
    external = ExternalSecrets({}, "S_", tmp_path / "secrets", PrivateFiles(None), elsewhere)
    assert external.find("alias") is None
    assert external.find("other") is None
    assert external.sealing_key() == "the key"


def test_the_data_directory_may_hold_a_folder_for_secrets(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in ("secrets", "nats"):
        (data / folder).mkdir(parents=True)
        (data / folder / "token").write_text("value")
    (data / "secrets" / "up").symlink_to("../admin.key")
    (data / "admin.key").write_text("private")
    config = tmp_path / "gateway.yaml"
    config.write_text("nats: {}")
    private = PrivateFiles(data, [config])

    def found(directory: Path, name: str) -> bool:
        return ExternalSecrets({}, "S_", directory, private).find(name) is not None

    assert found(data / "secrets", "token")
    assert not found(data / "secrets", "up")
    assert not found(data, "admin.key")
    assert not found(data / ".." / "data", "admin.key")
    assert not found(data / "nats", "token")
    assert not found(tmp_path, "gateway.yaml")


def test_variables_of_the_gateway_itself_are_no_secrets() -> None:
    environ = {"EVENT_GATEWAY__NATS__URL": "x", "EVENT_GATEWAY_KEY": "y", "EVENT_GATEWAY_Z": "z"}
    assert ExternalSecrets(environ, "", Path("none")).find("event_gateway__nats__url") is None
    external = ExternalSecrets(environ, "EVENT_GATEWAY_", Path("none"))
    assert (external.find("key"), external.find("z")) == (None, ("environment", "z"))


def test_a_client_certificate_is_no_private_file(tmp_path: Path) -> None:
    (tmp_path / "sealing.key").write_text("private")
    external = ExternalSecrets({}, "S_", tmp_path, PrivateFiles(tmp_path))
    settings = Security("mtls", cert="sealing.key", key="sealing.key")
    certificate = TlsFiles(settings, tmp_path, external.is_private)
    with pytest.raises(ValueError, match="private file of the gateway"):
        certificate.identity(None)


def test_the_reason_does_not_repeat_a_header(tmp_path: Path) -> None:
    (problem,) = header_problems({"X-Key: hunter2": "v"})
    assert isinstance(problem, InvalidDefinition)
    assert "hunter2" not in str(problem)
