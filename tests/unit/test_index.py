"""The index gives the same result as checking each webhook, also after changes."""

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.filter import Filter
from event_gateway.core.matching.pattern import takes
from event_gateway.core.matching.selection import compile_selection
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.routing.condition_tree import TreeEntry
from event_gateway.routing.explain import explain
from event_gateway.routing.index import Index
from support.examples import examples

tokens = st.sampled_from(["a", "b", "c", "gateway"])
patterns = st.lists(tokens | st.just("*"), min_size=1, max_size=3).map(".".join) | st.lists(
    tokens | st.just("*"), max_size=2
).map(lambda tokens: ".".join([*tokens, ">"]))
values = st.sampled_from(
    [0, 1, 1.0, 2, -1, True, False, None, "", "x", "xy", "xyz", "yz", "1", "true", 2**70, 1e999,
     [1], {"a": 1}]
)  # fmt: skip
texts = st.sampled_from(["x", "xy", "xyz", "yz", "z", "1"])
fields = st.sampled_from(
    ["data.x", "data.y", "data.l[*]", "data.m[*].x", "data.m[0].x", "source", "ext", "data"]
)
conditions = st.one_of(
    st.builds(Filter, fields, st.sampled_from(["equals", "not_equals"]), values),
    st.builds(Filter, fields, st.sampled_from(["in", "not_in"]), st.lists(values, max_size=4)),
    st.builds(Filter, fields, st.sampled_from(["prefix", "suffix", "matches"]), texts),
    st.builds(Filter, fields, st.sampled_from(["gt", "gte", "lt", "lte"]),
              st.sampled_from([0, 1, 1.5, 2, -1, "x", "xy"])),
    st.builds(Filter, fields, st.just("between"), st.sampled_from([[0, 1], [1, 2], ["x", "y"]])),
    st.builds(Filter, fields, st.just("exists"), st.booleans()),
    st.builds(Filter, fields, st.just("contains"), values),
)  # fmt: skip
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda filters: Filter(all=tuple(filters))),
        st.lists(inner, min_size=1, max_size=3).map(lambda filters: Filter(any=tuple(filters))),
        inner.map(lambda inverted: Filter(not_=inverted)),
    ),
    max_leaves=4,
)
dialects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["source", "ext", "type"]), texts, min_size=1
).map(lambda attributes: {"exact": attributes}) | st.just({"prefix": {"type": "a."}})
in_sql = st.sampled_from(
    ["source = 'x'", "source = 'x' AND ext = '1'", "ext IN ('x', 'true', '1')", "ext IN ('01')",
     "ext = 1", "ext AND type LIKE 'a%'", "EXISTS ext AND (source = 'xyz' AND type <> 'a.b')",
     "source IN ('x', 'xy') AND ext > 0", "ext = 'x' OR source = 'x'", "NOFUNC()", "'true'"]
).map(lambda text: {"sql": text})  # fmt: skip
dialects = (
    dialects
    | in_sql
    | st.one_of(
        in_sql.map(lambda inner: {"not": inner}),
        st.lists(in_sql, min_size=1, max_size=2).map(lambda inner: {"any": inner}),
        st.lists(in_sql | dialects, min_size=1, max_size=2).map(lambda inner: {"all": inner}),
    )
)
webhooks = st.builds(
    Webhook,
    id=st.sampled_from([f"w{n}" for n in range(8)]),
    url=st.just("https://example.com/"),
    events=st.lists(patterns, min_size=1, max_size=3).map(tuple),
    filters=st.lists(filters, max_size=3).map(tuple),
    cloudevents_filters=st.lists(dialects, max_size=2).map(tuple),
    namespaces=st.lists(st.sampled_from(["n1", "n2"]), max_size=2, unique=True).map(tuple),
    sources=st.lists(st.sampled_from(["x", "xyz"]), max_size=1).map(tuple),
    expression=st.sampled_from([None, None, None, "event.data.x == 1", "event.source == 'x'"]),
    since=st.sampled_from([0, 0, 0, 5, 50]),
)
contents = st.dictionaries(st.sampled_from(["x", "y"]), values).flatmap(
    lambda members: st.fixed_dictionaries(
        {},
        optional={
            "namespace": st.sampled_from(["n1", "n2", "n3", 1]),
            "l": st.lists(values, max_size=3),
            "m": st.lists(st.fixed_dictionaries({}, optional={"x": values}), max_size=2),
        },
    ).map(lambda more: {**members, **more})
)
events = st.builds(
    lambda kind, source, ext, data: Event(
        "1", source, kind, None, None, None, None, {} if ext is None else {"ext": ext},
        json.dumps(data).encode(), DataKind.JSON,
    ),
    st.lists(st.sampled_from(["a", "b", "c", "*", ">"]), min_size=1, max_size=4).map(".".join),
    st.sampled_from(["x", "xyz", "other"]),
    st.none() | st.sampled_from([1, True, "1", "x", "xyz", "true"]),
    contents | values,
)  # fmt: skip
steps = st.lists(webhooks | st.sampled_from([f"w{n}" for n in range(8)]), min_size=1, max_size=14)


def naive(known: dict[str, Webhook], received: Received) -> set[str]:
    """The result of checking each webhook."""
    return {
        item.id
        for item in known.values()
        if item.is_older_than(received.stream, received.seq)
        and any(takes(pattern, received.event.type) for pattern in item.events)
        and compile_selection(item)(received)
    }


@settings(max_examples=examples(250))
@given(changes=steps, matched=st.lists(events, min_size=1, max_size=5))
def test_the_index_gives_the_same_result_as_checking_each_webhook(
    changes: list[Webhook | str], matched: list[Event]
) -> None:
    index, known = Index(), dict[str, Webhook]()
    for change in changes:
        if isinstance(change, str):
            index.remove(change)
            known.pop(change, None)
        else:
            index.put(change)
            known[change.id] = change
        for event in matched:
            result = [item.id for item in index.match(Received(event, "GATEWAY_EVENTS", 10, 0.0))]
            assert len(result) == len(set(result))
            assert set(result) == naive(known, Received(event, "GATEWAY_EVENTS", 10, 0.0))
            for item in known.values():  # and so does the explanation
                received = Received(event, "GATEWAY_EVENTS", 10, 0.0)
                claimed = item.is_older_than("GATEWAY_EVENTS", 10)
                assert (explain(item, received) is None and claimed) == (item.id in result)
    assert len(index) == len(known)
    for name in list(known):
        index.remove(name)
    assert index._root.empty  # no entry of a removed webhook is left


def of(data: Any, kind: str = "a.b", seq: int = 10) -> Received:
    event = Event("1", "x", kind, data=json.dumps(data).encode(), kind=DataKind.JSON)
    return Received(event, "GATEWAY_EVENTS", seq, 0.0)


def webhook(
    name: str, *filters: Filter, events: tuple[str, ...] = ("a.*",), **more: Any
) -> Webhook:
    return Webhook(name, "https://example.com/", events, filters=filters, **more)


def test_only_webhooks_that_can_match_are_checked() -> None:
    index = Index()
    for number in range(1000):
        index.put(webhook(f"tenant{number}", Filter("data.namespace", "equals", "customer"),
                          Filter("data.tenant", "equals", number)))  # fmt: skip
        index.put(webhook(f"prefix{number}", Filter("data.path", "prefix", f"/{number:04}/")))
        index.put(webhook(f"above{number}", Filter("data.size", "gt", number * 10)))
        index.put(webhook(f"below{number}", Filter("data.size", "lte", -number)))
        index.put(webhook(f"source{number}", sources=(f"s{number}",)))
    looked_at: list[str] = []
    for entry in index._entries.values():
        entry.conditions = (lambda _, name=entry.webhook.id: looked_at.append(name) or True,)  # type: ignore[func-returns-value, misc]
    received = of({"namespace": "customer", "tenant": 7, "path": "/0042/x", "size": 25})
    result = {item.id for item in index.match(received)}
    assert result == {"tenant7", "prefix42", "above0", "above1", "above2"}
    assert set(looked_at) == result


def test_an_expression_is_evaluated_once_and_its_failure_is_reported() -> None:
    index, lifecycle = Index(), []
    for number in range(5):
        index.put(webhook(f"w{number}", expression="event.data.size > 100"))
    index.put(webhook("other", expression="has(event.data.size) && event.data.size > 1"))

    def on_error(failing: Webhook, received: Received, error: EvaluationError) -> None:
        lifecycle.append((failing.id, error.kind))

    assert {item.id for item in index.match(of({"size": 5}), on_error)} == {"other"}
    assert not lifecycle
    assert index.match(of({"x": 5}), on_error) == []
    assert lifecycle == [(f"w{number}", "no_such_key") for number in range(5)]


def test_conditions_in_sql_are_looked_up_evaluated_once_and_their_failures_reported() -> None:
    index, noted = Index(), list[tuple[str, str]]()
    for number in range(100):
        text = f"source = 's{number}' AND (subject IN ('a', 'b') AND size / 0 = 0)"
        index.put(webhook(f"w{number}", cloudevents_filters=({"sql": text},)))
        index.put(webhook(f"v{number}", cloudevents_filters=({"any": [{"sql": "size / 0 = 1"},
                  {"exact": {"source": "s7"}}]}, {"sql": f"subject = 'b{number}'"})))  # fmt: skip

    def on_error(failing: Webhook, received: Received, error: EvaluationError) -> None:
        noted.append((failing.id, error.kind))

    def event(source: str, subject: str) -> Received:
        event = Event("1", source, "a.b", subject, extensions={"size": "5"})
        return Received(event, "GATEWAY_EVENTS", 10, 0.0)

    assert index.match(event("s5", "c"), on_error) == []
    assert not noted  # no table leads to a webhook, so nothing was evaluated
    assert index.match(event("s5", "a"), on_error) == []
    assert noted == [("w5", "MathError")]
    noted.clear()
    # An error inside of a group is counted, also where another filter of the group holds.
    assert [item.id for item in index.match(event("s7", "b3"), on_error)] == ["v3"]
    assert noted == [("v3", "MathError")]
    received = event("s7", "b")
    candidates: list[TreeEntry] = []
    for tree in index._trees("a.b"):
        tree.collect(received, candidates)
    assert [entry.webhook.id for entry in candidates] == ["w7"]


def test_costly_conditions_in_sql_share_a_budget() -> None:
    index, noted = Index(), list[str]()
    for number in range(100):
        text = "LOWER(" * 60 + "subject" + ")" * 60 + f" = '{number}'"
        index.put(webhook(f"w{number}", cloudevents_filters=({"sql": text},)))
    long = Event("1", "x", "a.b", "a" * 10_000)
    index.match(
        Received(long, "GATEWAY_EVENTS", 10, 0.0), lambda *given: noted.append(str(given[2]))
    )
    assert 60 < len(noted) < 90
    assert {text.partition(",")[0] for text in noted} == {
        "GenericError: too costly for an event with 10005 characters of attributes"
    }
    noted.clear()
    short = Event("1", "x", "a.b", "7")
    matching = index.match(
        Received(short, "GATEWAY_EVENTS", 10, 0.0), lambda *given: noted.append(str(given[2]))
    )
    assert [item.id for item in matching] == ["w7"]
    assert not noted


def test_the_combinations_of_several_lists_are_not_expanded() -> None:
    index = Index()
    created = webhook("w", *(Filter(f"data.{name}[*]", "equals", name) for name in "abc"))
    index.put(created)
    received = of({name: [name] * 5000 for name in "abc"})
    candidates: list[TreeEntry] = []
    for tree in index._trees("a.b"):
        tree.collect(received, candidates)
    assert len(candidates) == 1
    assert index.match(received) == [created]


def test_a_webhook_at_many_locations_is_found_once() -> None:
    index = Index()
    created = webhook(
        "w", Filter("data.l[*]", "in", ["a", "b", "c"]), events=("a.>", "a.*", "*.b", ">")
    )
    index.put(created)
    assert index.match(of({"l": ["a", "b", "c"]})) == [created]
    index.put(msgspec.structs.replace(created, events=("b",)))
    assert index.match(of({"l": ["a"]})) == []
