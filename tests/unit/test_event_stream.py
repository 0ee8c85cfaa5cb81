"""The format of Server-Sent Events, against a parser of its own, and where subscriptions start."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_gateway.broker.named_streams import Bounds
from event_gateway.core.text.suggestion import suggestion
from event_gateway.streaming.event_stream import (
    accepts_event_stream,
    ending,
    event_block,
    position_block,
)
from event_gateway.streaming.start_position import Gap, position_of
from support.event_stream import Parser

SPACE = st.text("\r\n \t", max_size=6)


@given(st.lists(st.tuples(SPACE, st.text(max_size=5)), max_size=6), st.integers(1, 9))
def test_json_arrives_whole_whatever_its_white_space(
    members: list[tuple[str, str]], piece: int
) -> None:
    text = "[" + ",".join(space + json.dumps(value) + space for space, value in members) + "]"
    parser = Parser()
    raw = position_block(6, retry=2000) + event_block(7, text.encode()) + position_block(8)
    messages = []
    for at in range(0, len(raw), piece):  # split anywhere
        messages += parser.feed(raw[at : at + piece])
    assert [(message.id, message.event) for message in messages] == [("7", "message")]
    assert json.loads(messages[0].data) == [value for _, value in members]
    assert (parser.last_event_id, parser.retry, parser.blocks) == ("8", 2000, 3)


def test_text_outside_of_ascii_is_no_line_break() -> None:
    for text in ("a\u2028b", "a\u2029b", "a\u0085b", "\ufeffa", "a\x0bb\x0cc\x1cd"):
        assert Parser().feed(event_block(1, text.encode()))[0].data == text


def test_an_ending_is_a_comment_whatever_its_text() -> None:
    parser = Parser("5")
    assert parser.feed(ending("a\nid: 9\rdata: b\r\n\r\nevent: c", 100)) == []
    assert (parser.last_event_id, parser.retry) == ("5", 100)
    assert len(parser.comments) == 5


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("text/event-stream", True), ("Text/Event-Stream", True),
        ("text/html, text/event-stream;q=0.5", True), ("", False), ("*/*", False),
        ("text/*", False), ("text/event-stream;q=0", False), ("text/event-stream; q=0.00", False),
        ("application/json", False), ("text/event-streams", False), (",;,", False),
    ],
)  # fmt: skip
def test_which_clients_are_event_sources(accept: str, answer: bool) -> None:
    assert accepts_event_stream(accept) is answer


@pytest.mark.parametrize(
    ("stream", "requested", "position", "gap"),
    [
        (Bounds(1, 10, 1), 1, 0, None),
        (Bounds(1, 10, 1), 11, 10, None),  # all received
        (Bounds(4, 10, 1), 3, 3, Gap(3, 3, recreated=False)),
        (Bounds(11, 10, 1), 11, 10, None),  # empty, nothing missed
        (Bounds(11, 10, 1), 5, 10, Gap(5, 10, recreated=False)),
        (Bounds(1, 10, 1), 12, 0, Gap(1, 0, recreated=True)),  # behind the end
        (Bounds(4, 10, 1), 12, 3, Gap(1, 3, recreated=True)),
        (Bounds(1, 0, 1), 2, 0, Gap(1, 0, recreated=True)),  # new, and still empty
        (Bounds(100, 110, 100), 11, 99, Gap(11, 99, recreated=True)),  # of a former stream
        (Bounds(100, 110, 100), 1, 99, Gap(1, 99, recreated=False)),  # from the first
        (Bounds(105, 110, 100), 102, 104, Gap(102, 104, recreated=False)),
    ],
)
def test_where_a_subscription_starts(
    stream: Bounds, requested: int, position: int, gap: Gap | None
) -> None:
    assert position_of(stream, requested) == (position, gap)


def test_a_suggestion_is_similar_or_nothing() -> None:
    assert suggestion("form", ["from", "token"]) == "; did you mean from?"
    assert suggestion("x" * 100_000, ["from"]) == ""
