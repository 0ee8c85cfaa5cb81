"""Where the gateway of a command is: options, contexts, environment and data directories."""

import errno
import json
import ssl
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import typer

from event_gateway.cli.client.completion import complete_contexts, complete_webhooks
from event_gateway.cli.client.contexts import Context, Contexts, contexts_file, load_contexts
from event_gateway.cli.client.failures import refused, unreachable
from event_gateway.cli.client.place import GatewayPlace, find_place
from event_gateway.client.answers import raise_unreachable
from support.in_process import run_here


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("URL", "KEY", "KEY_FILE", "CA", "CONTEXT"):
        monkeypatch.delenv(f"EVENT_GATEWAY_{name}", raising=False)


def _runs_in(directory: Path, url: str) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "endpoints.json").write_text(json.dumps({"http": url}))
    (directory / "admin.key").write_text("of-directory\n")
    return directory


PROD = Context("prod", "https://prod", {"value": "of-prod"}, ca="prod.pem")
STAGE = Context("stage", "https://stage", {"value": "of-stage"})
BOTH = {"prod": PROD, "stage": STAGE}
ENVIRONMENT = {"url": "http://env", "key": "of-env"}


@pytest.mark.parametrize(
    ("options", "environment", "current", "url", "key"),
    [
        ({}, {}, None, "http://here", "of-directory"),
        ({}, {}, "prod", "https://prod", "of-prod"),
        ({}, {"context": "stage"}, "prod", "https://stage", "of-stage"),
        ({}, ENVIRONMENT, "prod", "http://env", "of-env"),
        ({}, {"key": "of-env"}, "prod", "https://prod", "of-env"),
        ({}, {"url": "http://env"}, "prod", "http://env", ""),
        ({"context": "stage"}, ENVIRONMENT, "prod", "https://stage", "of-stage"),
        ({"data_dir": "data"}, ENVIRONMENT, "prod", "http://here", "of-directory"),
        ({"context": "stage", "key": "k"}, ENVIRONMENT, "prod", "https://stage", "k"),
        ({"url": "http://other"}, {"key": "of-env"}, "prod", "http://other", "of-env"),
        ({"url": "http://other"}, {}, "prod", "http://other", ""),
        ({"url": "https://prod/"}, {}, "prod", "https://prod/", "of-prod"),
        ({"url": "http://other"}, {}, None, "http://other", ""),
        ({"url": "http://here/"}, {}, None, "http://here/", "of-directory"),
    ],
)
def test_the_first_that_says_it_counts(
    tmp_path: Path,
    options: dict[str, Any],
    environment: dict[str, Any],
    current: str | None,
    url: str,
    key: str,
) -> None:
    _runs_in(tmp_path / "data", "http://here")
    found = find_place(options, environment, lambda: Contexts(BOTH, current))
    assert (found.url, found.key) == (url, key)
    assert found.ca == (Path("prod.pem") if url.startswith("https://prod") else None)


def test_nothing_is_said() -> None:
    assert find_place({}, {}, lambda: Contexts({})).url is None


def test_a_key_is_read_only_if_it_is_used(tmp_path: Path) -> None:
    broken = Context("broken", "https://x", {"file": str(tmp_path / "none")})
    contexts = Contexts({"broken": broken}, "broken")
    assert find_place({"key": "k"}, {}, lambda: contexts).key == "k"
    with pytest.raises(typer.Exit):
        find_place({}, {}, lambda: contexts)


def test_where_the_key_of_a_context_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text("of-file\n")
    monkeypatch.setenv("PROD_KEY", "of-env")
    command = f"{sys.executable} -c 'print(\"of-command\")'"
    for key, value in (
        ({"file": str(tmp_path / "key")}, "of-file"),
        ({"env": "PROD_KEY"}, "of-env"),
        ({"command": command}, "of-command"),
        ({}, ""),
    ):
        assert Context("c", "http://x", key).read_key() == value
    for key, error in (
        ({"file": str(tmp_path / "none")}, "the key of the context c: "),
        ({"env": "NO_SUCH"}, "the key of the context c: NO_SUCH is not set"),
        ({"command": "no-such-program"}, "no-such-program: No such file"),
        ({"command": f"{sys.executable} -c 'exit(3)'"}, "exit status 3, and no key"),
    ):
        with pytest.raises(typer.Exit):
            Context("c", "http://x", key).read_key()
        printed = capsys.readouterr().err
        assert error in printed
        assert len(printed.splitlines()) == 1


def test_contexts_are_added_used_and_removed(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k")
    added = run_here("context", "add", "prod", "--url", "https://prod/", "--key-file", "key")
    assert added.out == (
        f"prod: https://prod, key file {key}; to use it: event-gateway context use prod\n"
    )
    run_here("context", "add", "stage", "--url", "https://stage", "--key-env", "STAGE", "--use")
    file = contexts_file()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert load_contexts().current == "stage"
    assert run_here("context", "use", "prod").out == "prod: in use\n"
    items = json.loads(run_here("context", "list", "--json").out)
    assert [(item["name"], item["in_use"]) for item in items] == [("prod", True), ("stage", False)]
    run_here("context", "use", "none").assert_refused(2, "there is prod, stage")
    assert run_here("context", "remove", "prod").out == "prod: removed\n"
    assert load_contexts().current is None
    run_here("context", "add", "a b", "--url", "https://x").assert_refused(2, "a name has")
    run_here("context", "add", "a", "--url", "ftp://x").assert_refused(2, "--url")
    run_here("context", "add", "a", "--url", "https://x", "--key", "k").assert_refused(
        2, "--in-clear"
    )
    run_here("context", "add", "a", "--url", "https://x", "--key", "a-key", "--in-clear")
    assert "a-key" not in run_here("context", "list").out
    assert load_contexts().named("a").read_key() == "a-key"


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "http://"),
        (ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED"), "--ca FILE"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "no gateway listens at https://x"),
    ],
)
def test_the_cause_of_a_failed_connection_is_known(cause: OSError, words: str) -> None:
    if isinstance(cause, ssl.SSLError):
        cause.reason = "WRONG_VERSION_NUMBER"
    if isinstance(cause, ssl.SSLCertVerificationError):
        cause.verify_message = "self-signed certificate"
    error = httpx.ConnectError("failed")
    error.__cause__ = cause
    with pytest.raises(ConnectionError) as raised:
        raise_unreachable("https://x", error)
    assert words in unreachable(str(raised.value), GatewayPlace("https://x", "k"))


def test_a_completion_is_silent_and_runs_no_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = f'{sys.executable} -c \'open("run", "w")\''
    run_here("context", "add", "c", "--url", "http://127.0.0.1:1", "--key-command", run, "--use")
    run_here("context", "add", "d", "--url", "http://127.0.0.1:1", "--key-file", "none")
    assert complete_contexts("") == ["c", "d"]
    for params in ({}, {"context": "d"}, {"context": "none"}, {"url": "nonsense"}):
        assert complete_webhooks(SimpleNamespace(params=params), "") == []  # type: ignore[arg-type]
    contexts_file().write_text("[]")
    assert complete_contexts("") == []
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr() == ("", "")


def test_a_file_of_contexts_that_cannot_be_used(tmp_path: Path) -> None:
    run_here("context", "add", "a", "--url", "https://x", "--use")
    file = contexts_file()
    file.chmod(0o620)
    run_here("webhooks", "list").assert_refused(2, "chmod 600")
    file.chmod(0o600)
    file.write_text("[]")
    run_here("webhooks", "list").assert_refused(2, "is not a file of contexts")


def test_an_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = _runs_in(tmp_path / "gone", "http://127.0.0.1:1")
    for words, status, message in (
        (["--data-dir", "none"], 1, "no gateway runs in ./none; start one with: event-gateway "
                                    "serve --data-dir none"),
        (["--data-dir", str(gone)], 1, f"no gateway runs in {gone}; start one with: "),
        (["--url", "http://127.0.0.1:1"], 2, "no key for http://127.0.0.1:1"),
        (["--url", "http://127.0.0.1:1", "--key", "k"], 1,
         "no gateway listens at http://127.0.0.1:1; start it"),
        (["--key", "k", "--key-file", "f"], 2, "exclude each other"),
        (["--context", "none"], 2, "there is no context 'none'"),
    ):  # fmt: skip
        run_here("webhooks", "list", *words).assert_refused(status, message)
    keyed = GatewayPlace("http://x", "k", key_by="EVENT_GATEWAY_KEY")
    assert refused(401, {"detail": "it is not known"}, keyed) == (
        "the key is wrong (EVENT_GATEWAY_KEY): it is not known"
    )
    assert "--ca" in unreachable("https://x: CERTIFICATE_VERIFY_FAILED", keyed)
    assert "http://" in unreachable("https://x: WRONG_VERSION_NUMBER", keyed)


def test_a_user_without_a_home_has_no_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has only a number."""
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 64_999)
    assert load_contexts() == Contexts({})
    with pytest.raises(FileNotFoundError, match="has no home directory; set XDG_CONFIG_HOME"):
        contexts_file()
