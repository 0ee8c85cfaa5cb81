"""The plan of declared against registered definitions, and what a file may say of former ids."""

from pathlib import Path
from typing import Any

import pytest

from event_gateway.config.load import ConfigError
from event_gateway.config.plan import (
    Definitions,
    Plan,
    Removal,
    changed_stream_loss,
    deleted_webhook_loss,
    plan_of,
)
from event_gateway.core.streams.definition import StreamContents, StreamDefinition
from support.configuration import loaded


def _webhook(url: str = "u", renamed_from: str | None = None, by: str = "file") -> dict[str, Any]:
    return {"url": url, "renamed_from": renamed_from, "managed_by": by, "created_at": url}


def _plan(declared: dict[str, Any], registered: dict[str, Any]) -> list[tuple[str, ...]]:
    removal = Removal(
        lambda shown: "delete" if shown["managed_by"] == "file" else None,
        lambda _: None,
        lambda _: None,
    )
    plan: Plan = plan_of(Definitions(declared, {}, {}), Definitions(registered, {}, {}), removal)
    return [
        (step.action, step.name, step.former, *(change.key for change in step.differences))
        for step in plan.steps
    ]


def test_steps() -> None:
    same = {"w": _webhook()}
    assert _plan(same, same) == []
    assert _plan(same, {"w": _webhook() | {"created_at": "then"}}) == []
    assert _plan(same, {"w": _webhook("v")}) == [("change", "w", "", "url")]
    assert _plan(same, {"w": _webhook(by="api")}) == [("change", "w", "", "managed_by")]
    assert _plan({}, same | {"x": _webhook(by="api")}) == [("delete", "w", "")]
    renamed = {"n": _webhook("v", renamed_from="w")}
    assert _plan(renamed, same) == [("rename", "n", "w", "url")]
    # Both are registered, then only one: nothing is renamed again, also if the id is used again.
    assert _plan(renamed, same | {"n": _webhook("v")}) == [("rename", "n", "w", "url")]
    assert _plan(renamed, renamed) == []
    assert _plan(renamed, renamed | {"w": _webhook(by="api")}) == []
    assert _plan(renamed, {}) == [("create", "n", "")]


def test_losses() -> None:
    assert deleted_webhook_loss(0, ordered=False) is None
    loss = deleted_webhook_loss(2000, ordered=False)
    assert loss is not None
    assert loss.reason == "2,000 deliveries wait for it and would be cancelled"
    former = StreamDefinition("s", ("a.b",))
    contents = StreamContents(messages=10, bytes=100)
    tighter = changed_stream_loss(StreamDefinition("s", ("a.b",), None, 4), former, contents, 0.0)
    assert tighter is not None
    assert (tighter.what, tighter.count) == ("messages", 6)
    assert changed_stream_loss(former, former, contents, 0.0) is None


def test_former_ids_that_contradict_the_file(tmp_path: Path) -> None:
    webhook = "url: https://example.com/, events: [a.b]"
    text = (
        f"webhooks:\n  a: {{{webhook}}}\n  b: {{{webhook}, renamed_from: a}}\n"
        f"  c: {{{webhook}, renamed_from: c}}\n  d: {{{webhook}, renamed_from: x}}\n"
        f"  e: {{{webhook}, renamed_from: x}}\n  f: {{{webhook}, renamed_from: 'x y'}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        loaded(text, tmp_path)
    assert [(problem.line, problem.reason) for problem in caught.value.problems] == [
        (3, "the file still has the webhook a"),
        (4, "is the webhook's own id"),
        (6, "d takes x over already"),
        (7, "'x y' is not of the form [A-Za-z0-9_-]{1,64}"),
    ]


def test_only_a_limit_that_gets_tighter_drops_events() -> None:
    """An event that is about to leave at the age that it may have is no reason to refuse another
    change."""
    former = StreamDefinition("s", ("a.b",), retention=60.0, max_messages=10)
    contents = StreamContents(messages=5, bytes=500, first_time=0.0)
    assert former.would_drop(former, contents, now=61.0) is None
    fewer = StreamDefinition("s", ("a.b",), retention=60.0, max_messages=4)
    reason = fewer.would_drop(former, contents, now=61.0)
    assert reason == "max_messages 4 is less than the 5 that it has"
    shorter = StreamDefinition("s", ("a.b",), retention=30.0, max_messages=10)
    reason = shorter.would_drop(former, contents, now=61.0)
    assert reason == "its oldest event is 1m1s old, more than 30s"
