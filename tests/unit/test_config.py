"""The configuration file: what loads, and the line for each problem."""

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.config import scope_reference
from event_gateway.config.definitions import webhook_of
from event_gateway.config.ingest_subjects import captured_subjects, unfed_patterns
from event_gateway.config.load import ConfigError, load, load_with_locations
from event_gateway.config.reference import reference
from event_gateway.request.transformations import compile_definition
from event_gateway.transport.egress_guard import url_rule
from support.configuration import loaded
from support.examples import examples
from support.in_process import check, run_here


def test_the_original_loads_with_its_defaults() -> None:
    config = load(
        Path("examples/gateway.yaml"), {}, transformation_rule=compile_definition, url_rule=url_rule
    )
    crm = webhook_of(config.webhooks["external_crm"], "external_crm", managed_by="file")
    assert (crm.retry_policy.max_attempts, crm.timeout, crm.concurrency) == (3, 15.0, 32)
    assert config.webhooks["analytics_platform"].retry_policy.max_attempts == 5
    assert config.streams["audit_stream"].retention == 2 * 365 * 86400
    assert config.streams["audit_stream"].compliance
    assert set(captured_subjects(config)) == {
        "ontology.>", "terminus.>", "audit.>", "scheduler.>", "user.>", "events.>",
    }  # fmt: skip
    assert unfed_patterns(config) == []


def test_a_pattern_that_matches_no_captured_subject_is_reported(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("ingest: {subjects: ['a.>']}\nwebhooks:\n  w:\n    url: https://x.y/\n"
                    "    retry_policy: standard\n"
                    "    events:\n      - a.b\n      - c.d\n")  # fmt: skip
    done = check(path, "--json")
    assert done.status == 0
    assert json.loads(done.out) == {
        "ok": True, "errors": [], "warnings": [{
            "file": str(path), "line": 8, "key": "webhooks.w.events[1]",
            "reason": "no captured subject matches 'c.d': add its subject to ingest.subjects",
        }],
    }  # fmt: skip
    path.write_text(W.replace("example.com", "b\u00fccher.example"))
    assert "webhooks.w.url: requests are sent to the host xn--bcher-kva.example" in check(path).err
    path.write_text(W.replace("a.b", "webhook.failed, stream.>"))
    assert "lifecycle" not in check(path).err
    path.write_text(W.replace("a.b", "webhook.exploded"))
    assert "no lifecycle event has a type like 'webhook.exploded'" in check(path).err
    path.write_text(W.replace("a.b", "webhook.failed]\n    namespaces: [customer"))
    assert "lifecycle events belong to no namespace" in check(path).err
    path.write_text("servr: 1\n")
    done = check(path, "--json")
    assert (done.status, json.loads(done.out)["errors"][0]["line"]) == (2, 1)


def test_the_environment_overrides_and_fills_in(tmp_path: Path) -> None:
    text = "webhooks:\n  w: {url: 'https://${HOST:-example.com}/${P}', events: [a.b]}\n"
    config = loaded(text, tmp_path, P="x", EVENT_GATEWAY__SERVER__PORT="9000",
                    EVENT_GATEWAY__DELIVERY__ALLOW_NETWORKS='["10.0.0.0/8"]')  # fmt: skip
    assert config.webhooks["w"].url == "https://example.com/x"
    assert (config.server.port, config.delivery.allow_networks) == (9000, ["10.0.0.0/8"])


W = "webhooks:\n  w:\n    url: https://example.com/\n    events: [a.b]\n"


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("webhoks: {}\n", 1, "webhoks", "webhooks"),
        (W + "    tmeout: 1s\n", 5, "webhooks.w.tmeout", "timeout"),
        (W + "    timeout: soon\n", 5, "webhooks.w.timeout", "soon"),
        (W + "    retry_policy: {max_attempts: 0}\n", 5, "max_attempts", "1"),
        (W + "    retry_policy: {jitter: 2}\n", 5, "jitter", "between 0 and 1"),
        (W + "    retry_policy: {schedule: [1s, 8d]}\n", 5, "schedule[1]", "at most 7d"),
        (W + "    retry_policy: {schedule: 1s}\n", 5, "schedule", "must be a list"),
        (W + "    retry_policy: {schedule: [1s, soon]}\n", 5, "schedule[1]", "not a duration"),
        (W + "    transformation: crm\n", 5, "webhooks.w.transformation", "analytics_format"),
        (W + "    filters:\n      - {field: a, operator: near, value: 1}\n", 6, "operator", "near"),
        (W + "    timeout: 1s\n    timeout: 2s\n", 6, "webhooks.w.timeout", "twice"),
        ("webhooks:\n  'bad id': {url: https://example.com/, events: [a]}\n", 2, "bad id", "id"),
        ("webhooks:\n  w: {url: 'ftp://x/', events: [a]}\n", 2, "webhooks.w.url", "http"),
        ("server: {max_body: lots}\n", 1, "server.max_body", "lots"),
        ("delivery: {allow_networks: [10.0.0.1/8]}\n", 1, "delivery.allow_networks", "10.0.0.1"),
        ("delivery: {origin: 'https://x.y'}\n", 1, "delivery.origin", "must be a DNS name"),
        ("delivery: {origin: x..y}\n", 1, "delivery.origin", "must be a DNS name"),
        (W + "    verify: 1\n", 5, "webhooks.w.verify", "true or false"),
        (W + "    headers: {WebHook-Request-Origin: x}\n", 5, "headers", "set by the gateway"),
        ("streams:\n  s: {subjects: ['a.>.b']}\n", 2, "streams.s", ">"),
        ("webhooks: [1, 2\n", 2, "", ""),
        ("- a\n", 1, "", "mapping"),
        ("a: 1\n--- \nb: 2\n", 2, "", "not YAML"),
        ("a: [\n", 2, "", "not YAML"),
        ("\nserver: {port: ${PORT}}\n", 2, "", "put ${NAME} in quotes"),
        ("a: !!python/object:os.system x\n", 1, "a", "not a plain value"),
        ("a: [" + "[" * 40 + "]" * 40 + "]\n", 1, "a", "nested deeper"),
        ("a: [" + "[" * 9000 + "]" * 9000 + "]\n", 1, "", "nested deeper"),
        ("a: [" + "[" * 200_000, 1, "", "nested deeper"),
        ("a:\n- [" + "1," * 400_000 + "1]\n", 2, "", "more than 100000 values"),
        ("a: &x {b: *x}\n", 1, "a.b", "nested deeper"),
        ("a: &x {<<: *x}\n", 1, "a", "merges a mapping into itself"),
        ("a: {<<: 1}\n", 1, "a", "<< takes a mapping"),
        ("1: x\n", 1, "1", "unknown key"),
        ("? [a]\n: x\n", 1, "", "plain text"),
        ("webhooks: 5\n", 1, "webhooks", "mapping of keys"),
        ("webhooks:\n  w: url\n", 2, "webhooks.w", "mapping of keys"),
        ("webhooks:\n  w: {url: https://x.y/}\n", 2, "webhooks.w.events", "is missing"),
        (W + "    enabled: 7\n", 5, "webhooks.w.enabled", "true or false"),
        (W + "    concurrency: 1.5\n", 5, "webhooks.w.concurrency", "whole number"),
        (W + "    timeout: 5\n", 5, "webhooks.w.timeout", "no unit"),
        (W + "    timeout: -1s\n", 5, "webhooks.w.timeout", "not a duration"),
        (W + "    timeout: [1]\n", 5, "webhooks.w.timeout", "must be a duration"),
        (W + "    description: 7\n", 5, "webhooks.w.description", "must be text"),
        (W + "    security: {auth_typ: none}\n", 5, "webhooks.w.security[0].auth_typ", "auth_type"),
        (
            W + "    retry_policy: {max_age: 6d}\n",
            5,
            "webhooks.w.retry_policy.max_age",
            "6d is not between 1s and 5d14h24m, which is 80% of ingest.retention (7d)",
        ),
        ("ingest:\n  subjects: ['a.>', '>']\n", 2, "ingest.subjects[1]", "cannot be captured"),
        ("ingest:\n  subjects: ['a.>', 'a.b']\n", 2, "ingest.subjects[1]", "overlaps 'a.>'"),
        ("ingest:\n  subjects: ['a..b']\n", 2, "ingest.subjects[0]", "empty token"),
        ("ingest: {retention: 1s}\n", 1, "ingest.retention", "at least 1m"),
        ("nats: {url: 'http://u:hunter2@x'}\n", 1, "nats.url", "nats://"),
        ("nats: {url: 'nats://u:hunter2@x:port'}\n", 1, "nats.url", "port must be a number"),
        ("redis: {url: '127.0.0.1:6379'}\n", 1, "redis.url", "redis://"),
        ("redis: {url: 'redis://a', cluster: {servers: [a]}}\n", 1, "redis", "url and cluster"),
        ("redis: {cluster: {servers: []}}\n", 1, "redis.cluster.servers", "at least 1 item"),
        ("redis: {cluster: {servers: ['redis://a']}}\n", 1, "redis.cluster.servers[0]", "no host"),
        ("redis: {cluster: {servers: ['a:b']}}\n", 1, "redis.cluster.servers[0]", "no host"),
        ("redis: {sentinel: {servers: [a]}}\n", 1, "redis.sentinel.master", "is missing"),
        (
            "redis: {sentinel: {servers: [a], master: m, username: u}}\n",
            1,
            "redis.sentinel",
            "a username and neither",
        ),
        ("streams:\n  s: {subjects: ['a.b', 'webhook.*']}\n", 2, "streams.s", "of their own"),
        ("streams:\n  s: {subjects: [], max_messages: many}\n", 2, "max_messages", "whole number"),
        ("server: {port: '${UNSET}'}\n", 1, "server.port", "UNSET is not set"),
        ("console: {url: 'https://a.example/b'}\n", 1, "console.url", "must be without a path"),
        (W + "    ordered: {buy: x}\n", 5, "webhooks.w.ordered.by", "is missing"),
        (W + "    ordered: maybe\n", 5, "webhooks.w.ordered", "true or false"),
        (W + "    ordered: {by: data..x}\n", 5, "webhooks.w.ordered.by", "is not a path"),
        (W + "    filters: [{field: data.x, operator: equals}]\n", 5, "filters[0]", "a value"),
        (W + "    retry_policy: {schedule: []}\n", 5, "schedule", "at least 1 item"),
    ],
)
def test_each_mistake_is_reported_with_its_line(
    tmp_path: Path, text: str, line: int, key: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(text, tmp_path)
    problem = str(caught.value.problems[0])
    assert problem.startswith(f"{tmp_path / 'gateway.yaml'}:{line}: "), problem
    assert key in problem
    assert message in problem
    assert "\n" not in problem
    assert "hunter2" not in str(caught.value)


def test_one_definition_with_many_problems(tmp_path: Path) -> None:
    text = W.replace("a.b", "a..b, '', a.b") + (
        "    concurrency: 0\n    disable_after: 0s\n    transformation: x\n"
        "    retry_policy: {max_attempts: 0, jitter: 3, backoff: expo}\n"
    )
    with pytest.raises(ConfigError) as caught:
        loaded(text, tmp_path)
    keys = [problem.key.removeprefix("webhooks.w.") for problem in caught.value.problems]
    assert sorted(keys) == [
        "concurrency", "disable_after", "events[0]", "events[1]", "retry_policy.backoff",
        "retry_policy.jitter", "retry_policy.max_attempts", "transformation",
    ]  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        loaded(W.replace("https://example.com/", "'${NOSUCH}'"), tmp_path)
    assert [problem.reason for problem in caught.value.problems] == [
        "the environment variable NOSUCH is not set"
    ]


def test_all_problems_are_reported_in_order(tmp_path: Path) -> None:
    text = "webhooks:\n  a: {url: 'ftp://x', events: [b]}\n  c: {events: 7}\n" \
           "streams:\n  s: {subjects: [a..b]}\nserver: {prt: 1}\n"  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        loaded(text, tmp_path, EVENT_GATEWAY__SERVER__HOSST="x", EVENT_GATEWAY__NATS__URL="y")
    assert str(caught.value.problems[-2]) == (
        "EVENT_GATEWAY__NATS__URL: nats.url: must begin with nats://, tls://, ws://, wss://"
    )
    assert str(caught.value.problems[-1]) == (
        "EVENT_GATEWAY__SERVER__HOSST: server.hosst: unknown key; did you mean host?"
    )
    assert [(problem.line, problem.key) for problem in caught.value.problems[:-2]] == [
        (2, "webhooks.a.url"), (3, "webhooks.c.url"), (3, "webhooks.c.events"),
        (5, "streams.s.subjects"), (6, "server.prt"),
    ]  # fmt: skip


def test_anchors_merges_and_variables(tmp_path: Path) -> None:
    text = """
webhooks:
  one: &base {url: https://x.y/, events: &events [a.b], timeout: 1s, concurrency: 10}
  two: {<<: *base, timeout: 2s}
  three: {<<: [{timeout: 3s}, *base], events: *events}
server:
  port: ${PORT:-9000}
streams:
"""
    config = loaded("\ufeff" + text, tmp_path)
    assert [webhook.timeout for webhook in config.webhooks.values()] == [1.0, 2.0, 3.0]
    assert config.webhooks["three"].events == ["a.b"]
    assert config.server.port == 9000
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    with pytest.raises(ConfigError, match="more than 100000 values"):
        loaded(bomb, tmp_path)


def _schema() -> dict[str, Any]:
    return dict(run_here("schema").json)


def test_the_schema_describes_the_shape() -> None:
    schema = _schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(yaml.safe_load(Path("examples/gateway.yaml").read_text()))
    good = {"url": "https://x.y/", "events": ["a"]}
    for wrong in (
        {"webhoks": {}}, {"webhooks": {"bad id": good}}, {"webhooks": {"w": {"url": "x"}}},
        {"webhooks": {"w": good | {"transformation": "no name"}}},
        {"transformations": {"t": {"base": "standrad"}}}, {"transformations": {"bad id": {}}},
        {"webhooks": {"w": good | {"filters": [{"field": "a", "operator": "near"}]}}},
        {"webhooks": {"w": good | {"timeout": 5}}}, {"server": {"port": 70000}},
        {"webhooks": {"w": good | {"security": {"auth_type": "magic"}}}},
        {"webhooks": {"w": good | {"retry_policy": {"backoff": "random"}}}},
        {"ingest": {"max_bytes": 0}}, {"streams": {"s": {}}},
    ):  # fmt: skip
        assert not validator.is_valid(wrong), wrong
    for right in (
        {"webhooks": {"w": good | {"security": {"auth_type": "none"}, "timeout": "5s"}}},
        {"webhooks": {"w": good | {"security": [{"auth_type": "none"}]}}},
        {"ingest": {"max_bytes": "10GB"}}, {"server": {"max_body": 65536}},
    ):  # fmt: skip
        validator.validate(right)


def test_the_reference_is_up_to_date() -> None:
    assert Path("docs/reference/configuration.md").read_text() == reference()
    assert Path("docs/reference/scopes.md").read_text() == scope_reference.reference()


def test_check(tmp_path: Path) -> None:
    good = check(Path("examples/gateway.yaml"))
    assert good.status == 0
    assert "3 webhooks, 3 streams" in good.out
    assert "siem_token is missing" in good.err
    bad = tmp_path / "bad.yaml"
    bad.write_text("server: {prt: 1}\nnats: {ulr: x}\n")
    done = check(bad)
    assert (done.status, done.out) == (2, "")
    assert [line.split(": ")[:2] for line in done.err.splitlines()] == [
        [f"{bad}:1", "server.prt"], [f"{bad}:2", "nats.ulr"],
    ]  # fmt: skip
    missing = check(tmp_path / "none.yaml")
    assert missing.status == 2
    assert len(missing.err.splitlines()) == 1


SCRAPS = st.sampled_from(
    ["\n", "  ", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "<<: ", "!!python/object:x ", "|",
     ">", "?", "%", "@", "`", '"', "'", "#", "---", "\t", "\0", "\ud800", "${", "${X:-", "}", "~",
     "null", "1e999", ".nan", "0x1", "2026-01-01", "webhooks:", "streams:", "server:", "ingest:",
     "url: ", "events:", "retention: ", "max_messages: ", "retry_policy:", "headers:", "security:"]
)  # fmt: skip


@settings(max_examples=examples(400))
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), SCRAPS | st.text(max_size=3)),
                min_size=1, max_size=8))  # fmt: skip
def test_any_file_is_accepted_or_refused(
    edits: list[tuple[float, int, str]],
) -> None:
    text = Path("examples/gateway.yaml").read_text()
    for place, dropped, scrap in edits:
        at = int(place * len(text))
        text = text[:at] + scrap + text[at + dropped :]
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(text.encode("utf-8", "surrogatepass"))
        file.flush()
        with contextlib.suppress(ConfigError):
            load(Path(file.name), {}, transformation_rule=compile_definition, url_rule=url_rule)


@pytest.mark.parametrize(("value", "key", "says"), [
    (".nan", "webhooks.w.metadata.a", "finite"), (".NaN", "webhooks.w.metadata.a", "finite"),
    ("-.inf", "webhooks.w.metadata.a", "finite"), ("+.Inf", "webhooks.w.metadata.a", "finite"),
    ("1e999", "webhooks.w.metadata.a", "finite"), ("-1e999", "webhooks.w.metadata.a", "finite"),
    ("18446744073709551616", "webhooks.w.metadata.a", "64 bits"),
    ("-9223372036854775809", "webhooks.w.metadata.a", "64 bits"),
    ("0x10000000000000000", "webhooks.w.metadata.a", "64 bits"),
    ("9" * 5000, "webhooks.w.metadata.a", "too many digits"),
    ("!!binary aGVsbG8=", "webhooks.w.metadata.a", "tags are not understood"),
    ("!!binary hunter2", "webhooks.w.metadata.a", "tags are not understood"),
    ("!!set {a}", "webhooks.w.metadata.a", "tags are not understood"),
    ("!!omap [a: 1]", "webhooks.w.metadata.a", "tags are not understood"),
    ("!!timestamp x", "webhooks.w.metadata.a", "tags are not understood"),
    ("!hunter2", "webhooks.w.metadata.a", "tags are not understood"),
    ('"\\ud800"', "", "not YAML"), ("[1, {b: .nan}]", "webhooks.w.metadata.a", "finite"),
    ("[" + "[" * 40 + "]" * 41, "webhooks.w.metadata.a", "nested deeper"),
    ("{a: 1, a: 2}", "webhooks.w.metadata.a.a", "twice"),
    ('{"a": {"b": 1, "b": 1}}', "webhooks.w.metadata.a.a.b", "twice"),
])  # fmt: skip
def test_what_json_does_not_have_is_refused_in_a_file(
    tmp_path: Path, value: str, key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(W + f"    metadata:\n      a: {value}\n", tmp_path)
    problem = str(caught.value.problems[0])
    assert problem.startswith(f"{tmp_path / 'gateway.yaml'}:6: {key}"), problem
    assert says in problem
    assert "\n" not in problem
    assert "hunter2" not in problem


def test_values_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    values = "[NO, on, 12:30, 01234, 2026-05-04, 0o17, true, ~, !!str 5, '5', 1e3, =]"
    config = loaded(W + f"    metadata: {{a: {values}}}\n", tmp_path)
    assert config.webhooks["w"].metadata["a"] == [
        "NO", "on", "12:30", 1234, "2026-05-04", 15, True, None, "5", "5", 1000.0, "=",
    ]  # fmt: skip


def test_what_yaml_1_1_reads_differently_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        "webhooks:\n  v: &base {url: 'https://e.com/', events: [ontology.a]}\n"
        "  # none\n  w:\n    <<: *base\n    metadata:\n      countries: [SE, NO, 'NO', !!str on]\n"
        "      on: ${ANSWER:-yes}\n      d: 012\n      e: 1_000\n      f: 1:30\n      g: =\n"
        "      h: 2026-05-04\n      i: 1e3\n      j: 0o17\n      k: y\n      l: 1e3\n"
        "      m: [~, 12, 1.5, true, text, .5, -0]\n      api_key: 0_123\n"
    )
    done = check(path)
    assert done.status == 0, done.err
    said = [
        line.removeprefix(f"warning: {path}:")
        for line in done.err.splitlines()
        if "YAML 1.1" in line
    ]
    keys = [line.partition(" is ")[0] for line in said]
    place = "webhooks.w.metadata"
    assert keys == [
        "5: webhooks.w.<<: << merges a mapping here, as in YAML 1.1; in YAML 1.2 it",
        f"7: {place}.countries.1: NO", f"8: {place}.on: the key on", f"8: {place}.on: yes",
        f"9: {place}.d: 012", f"10: {place}.e: 1_000", f"11: {place}.f: 1:30", f"12: {place}.g: =",
        f"13: {place}.h: 2026-05-04", f"14: {place}.i: 1e3", f"15: {place}.j: 0o17",
        f"16: {place}.k: y", f"17: {place}.l: 1e3", f"19: {place}.api_key: the value",
    ]  # fmt: skip
    assert said[1].endswith("NO is text here, as in YAML 1.2, but false in YAML 1.1; "
                            "quotes make it text in both")  # fmt: skip
    for at, readings in ((4, ("the number 12", "the number 10")), (6, ("text", "the number 90")),
                         (8, ("text", "the time 2026-05-04")),
                         (9, ("the number 1000.0", "text"))):  # fmt: skip
        now, former = readings
        assert f" is {now} here" in said[at]
        assert f"but {former} in YAML 1.1" in said[at]
    assert "123" not in said[-1]
    warned = json.loads(check(path, "--json").out)["warnings"]
    assert sum("YAML 1.1" in warning["reason"] for warning in warned) == len(said)
    path.write_text(W + "    metadata: {a: [" + "NO, " * 500 + "]}\n")
    assert len(check(path).err.splitlines()) == 101
    variables = {"EVENT_GATEWAY__WEBHOOKS__W__METADATA": "{a: off, password: 1_0}"}
    path.write_text(W)
    _, locations = load_with_locations(path, variables, transformation_rule=lambda _: None,
                                       url_rule=lambda _: lambda _: None)  # fmt: skip
    shown = [str(problem) for problem in locations.differences]
    assert [line.partition(" is ")[0] for line in shown] == [
        "EVENT_GATEWAY__WEBHOOKS__W__METADATA: webhooks.w.metadata.a: off",
        "EVENT_GATEWAY__WEBHOOKS__W__METADATA: webhooks.w.metadata.password: the value",
    ]


def test_a_file_may_be_json(tmp_path: Path) -> None:
    escaped = r'"\\ud83d\\ude00 \ud83d\ude00\uD83D\uDE00 \u20ac"'
    text = '{"webhooks": {"w": {"url": "https://x.y/", "events": ["a"], "description": %s}}}'
    config = loaded(text % escaped, tmp_path)
    assert config.webhooks["w"].description == json.loads(escaped)
    with pytest.raises(ConfigError, match="not YAML"):
        loaded(text % r'"\ud83d"', tmp_path)


def test_a_variable_is_read_as_strictly(tmp_path: Path) -> None:
    place = "EVENT_GATEWAY__WEBHOOKS__W__METADATA"
    for value, says in (
        ("{a: .nan}", "a: must be a finite"), ("{a: 1e400}", "a: must be a finite"),
        ("{a: 99999999999999999999}", "a: is an integer"), ("{a: 1, a: 2}", "a: occurs twice"),
        ("[" * 40 + "]" * 40, "nested deeper"), ("a\udcff", "not UTF-8"),
        ("{a: &a [1], b: [" + ", ".join(["*a"] * 60_000) + "]}", "more than 100000 values"),
    ):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            loaded(W, tmp_path, **{place: value})
        problem = str(caught.value.problems[0])
        assert problem.startswith(f"{place}: webhooks.w.metadata"), problem
        assert says in problem
    config = loaded(W, tmp_path, EVENT_GATEWAY__WEBHOOKS__W__DESCRIPTION="!not: [yaml")
    assert config.webhooks["w"].description == "!not: [yaml"
    with pytest.raises(ConfigError, match="is not UTF-8"):
        loaded(W.replace("example.com", "${HOST}"), tmp_path, HOST="\udcff")


def test_merges_are_counted_too(tmp_path: Path) -> None:
    """Merging brings in nothing here, a billion times."""
    bomb = "a0: &a0 {}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)
    )
    with pytest.raises(ConfigError, match="more than 100000 values"):
        loaded(bomb, tmp_path)


def test_a_file_of_mistakes_ends_after_a_hundred(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("".join(f"unknown{n}: 1\n" for n in range(10_000)))
    done = check(path)
    assert done.status == 2
    lines = done.err.splitlines()
    assert (len(lines), lines[-1]) == (101, f"{path}: and 9900 more mistakes")
    assert len(json.loads(check(path, "--json").out)["errors"]) == 101


def test_a_file_of_warnings_ends_after_a_hundred(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    patterns = "".join(f"      - nothing.feeds{n}\n" for n in range(100))
    webhooks = "".join(
        f"  w{n}:\n    url: https://example.com/\n    events:\n{patterns}" for n in range(3)
    )
    path.write_text(f"ingest: {{subjects: ['a.>']}}\nwebhooks:\n{webhooks}")
    done = check(path)
    lines = done.err.splitlines()
    assert (done.status, len(lines)) == (0, 101)
    assert lines[-1] == f"warning: {path}: and 203 more warnings"


def test_a_short_signing_secret_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.yaml"
    security = "{auth_type: hmac_signature, secret_name: sig}"
    path.write_text(W + f"    security: {security}\nsecrets: {{dir: {tmp_path}}}\n")
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_SIG", "whsec_" + "A" * 28)
    done = check(path)
    assert (done.status, f"{path}:5: webhooks.w.security" in done.err) == (2, True), done.err
    assert "24 to 64 bytes" in done.err
    monkeypatch.delenv("EVENT_GATEWAY_SECRET_SIG")
    (tmp_path / "sig").write_text("whsec_" + "A" * 28)
    assert check(path).status == 2
    (tmp_path / "sig").write_text("whsec_" + "A" * 32 + "\n")
    assert check(path).status == 0


def test_what_keeps_the_console_from_working_is_a_warning(tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    text = (
        "auth: {{jwt: [{{issuer: 'https://a.example', audience: gateway}}]}}\n"
        "secrets: {{dir: {folder}}}\n"
        "console: {{logo: {logo}, oidc: {{issuer: '{issuer}', client_id: c, secret_name: own}}}}\n"
    )

    def warned(issuer: str) -> list[str]:
        path = tmp_path / "gateway.yaml"
        path.write_text(text.format(folder=tmp_path, logo=logo, issuer=issuer))
        lines = check(path).err.splitlines()
        return [line.split(": ")[2] for line in lines if ": console." in line]

    oidc = "console.oidc"
    assert warned("https://b.example") == ["console.logo", f"{oidc}.issuer", f"{oidc}.secret_name"]
    logo.write_text("<svg/>")
    (tmp_path / "own").write_text("secret")
    assert warned("https://a.example") == []
