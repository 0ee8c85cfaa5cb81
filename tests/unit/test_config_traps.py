"""What is easily overlooked in a configuration is said: misspelt variables, an empty file, and all
mistakes at once."""

from pathlib import Path

import pytest

from event_gateway.cli.command_reference import all_commands
from event_gateway.config.near_misses import COMMANDS_READ, ONE_COMMAND_READS, near_misses
from support.in_process import check

PREFIX = "EVENT_GATEWAY_SECRET_"


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("EVENT_GATEWAY_SERVER_PORT", "did you mean EVENT_GATEWAY__SERVER__PORT, with two"),
        ("event_gateway__server__port", "did you mean EVENT_GATEWAY__SERVER__PORT, with two"),
        ("EVENT-GATEWAY.SERVER.PORT", "did you mean EVENT_GATEWAY__SERVER__PORT, with two"),
        ("EVENTGATEWAY__SERVER__PORT", "did you mean EVENT_GATEWAY__SERVER__PORT, with two"),
        ("EVENT_GATEWAY_SEVER_PORT", "did you mean EVENT_GATEWAY__SERVER__PORT, with two"),
        ("EVENT_GATEWAY_NATS_TLS_CA", "did you mean EVENT_GATEWAY__NATS__TLS__CA, with two"),
        ("EVENT_GATEWAY_WEBHOOKS_CRM_URL", "set by EVENT_GATEWAY__WEBHOOKS__…"),
        ("event_gateway_url", "did you mean EVENT_GATEWAY_URL?"),
        ("event_gateway_secret_siem", "the variable of a secret is EVENT_GATEWAY_SECRET_SIEM"),
        ("EVENT_GATEWAY_XYZZY", "begin with EVENT_GATEWAY__"),
    ],
)
def test_a_variable_that_is_not_read_is_named_with_the_right_spelling(
    variable: str, said: str
) -> None:
    (problem,) = near_misses({variable: "hunter2"}, PREFIX)
    assert str(problem).startswith(f"{variable}: this variable is not read")
    assert said in problem.reason
    assert "hunter2" not in str(problem)


def test_what_is_read_or_set_by_kubernetes_is_no_near_miss() -> None:
    environ = {
        "EVENT_GATEWAY__SERVER__PORT": "1", "EVENT_GATEWAY_URL": "x", "EVENT_GATEWAY_SECRET_A": "x",
        "EVENT_GATEWAY_KEY_FILE": "x", "EVENT_GATEWAY_CA": "x",
        "EVENT_GATEWAY_SERVICE_HOST": "10.0.0.1", "EVENT_GATEWAY_SERVICE_PORT_HTTP": "80",
        "EVENT_GATEWAY_PORT": "tcp://10.0.0.1:80", "EVENT_GATEWAY_PORT_80_TCP_ADDR": "10.0.0.1",
        "EVENT_GATEWAY_SERVER_PORT": "tcp://10.0.0.1:80", "EVENTS": "x",
    }  # fmt: skip
    assert list(near_misses(environ, PREFIX)) == []
    many = {f"EVENT_GATEWAY_X{number}": "" for number in range(100)}
    assert len(list(near_misses(many, PREFIX))) == 21


def test_what_commands_read_is_known() -> None:
    read = {
        parameter.envvar
        for _, command in all_commands()
        for parameter in command.params
        if isinstance(parameter.envvar, str)
    }
    assert read == COMMANDS_READ | {*ONE_COMMAND_READS}
    (problem,) = near_misses({"EVENT_GATEWAY_NATS_URL": "x"}, PREFIX)
    assert problem.reason.startswith(
        "only event-gateway send reads this variable; did you mean EVENT_GATEWAY__NATS__URL"
    )


def test_check_names_near_misses_and_an_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.yaml"
    monkeypatch.setenv("EVENT_GATEWAY_SERVER_PORT", "9000")
    for text in ("", "# nothing yet\n", "---\n"):
        path.write_text(text)
        done = check(path)
        assert done.status == 0
        assert f"warning: {path}: the file is empty: every key has its default" in done.err
        assert "warning: EVENT_GATEWAY_SERVER_PORT: this variable is not read" in done.err
    monkeypatch.setenv("EVENT_GATEWAY__SERVER_PORT", "9000")
    assert "unknown key; did you mean EVENT_GATEWAY__SERVER__PORT?" in check(path).err


def test_mistakes_of_all_kinds_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("""\
webhooks:
  one:
    url: https://example.com/
    events: [a..b]
    colour: blue
    timeout: 5
    transformation: mine
    expression: "event.data.x >"
    concurrency: 99999999999999999999
    filters: [{field: data.x, operator: equal, value: 1}]
    tls: {ca: missing.pem}
  two: {events: [7]}
transformations:
  other: {template: "{{ data.x", colour: red}
streams:
  s: {subjects: [">"], retention: soon}
server:
  tls: {cert: no.pem, key: no.pem}
secrets: {dir: /nonexistent}
""")
    done = check(path)
    assert done.status == 2
    told = [line.removeprefix(f"{path}:").split(": ")[:2] for line in done.err.splitlines()]
    assert told == [
        ["4", "webhooks.one.events[0]"],
        ["5", "webhooks.one.colour"],
        ["6", "webhooks.one.timeout"],
        ["7", "webhooks.one.transformation"],
        ["8", "webhooks.one.expression"],
        ["9", "webhooks.one.concurrency"],
        ["10", "webhooks.one.filters[0].operator"],
        ["11", "webhooks.one.tls.ca"],
        ["12", "webhooks.two.url"],
        ["12", "webhooks.two.events[0]"],
        ["14", "transformations.other.colour"],
        ["14", "transformations.other.template"],
        ["16", "streams.s.retention"],
        ["16", "streams.s.subjects"],
        ["18", "server.tls.cert"],
    ], done.err
