"""The entries of the index of events, and the filters with which the log is searched."""

from hypothesis import given
from hypothesis import strategies as st

from event_gateway.broker.log_search import filters_for
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.type_subject import log_subjects
from event_gateway.state.index_entries import (
    CAUSATION,
    CORRELATION,
    DAY,
    ID,
    SOURCE,
    SUBJECT,
    SequenceSpan,
    digest,
    packed,
    slot_of,
    spans_in,
)

TEXTS = st.text(min_size=1, max_size=6)
EVENTS = st.lists(
    st.builds(
        lambda id, source, subject, cause, seq, time: Received(
            Event(id, source, "a.b", subject=subject, extensions={"causationid": cause}),
            "S", seq, time,
        ),
        id=TEXTS, source=st.sampled_from("st"), subject=st.none() | TEXTS, cause=TEXTS,
        seq=st.integers(1, 1 << 39), time=st.floats(0, 3 * DAY),
    ),
    max_size=40,
)  # fmt: skip


def looked_up(arguments: list[str | bytes], kind: bytes, text: str, day: int) -> set[SequenceSpan]:
    """The sequences at which a text may be on a day, of what one call stores."""
    slots: dict[str | bytes, bytes] = {}
    for slot, entries in zip(arguments[::2], arguments[1::2], strict=True):
        assert isinstance(entries, bytes)
        slots[slot] = slots.get(slot, b"") + entries
    made = digest(kind, text)
    return spans_in(slots.get(slot_of(day, made), b""), made)


@given(EVENTS)
def test_every_event_is_found_by_each_of_its_texts(events: list[Received]) -> None:
    arguments = packed(events)
    for received in events:
        if received.seq >= 1 << 39:
            continue
        event, day = received.event, int(received.time) // DAY
        texts = [(ID, event.id), (SOURCE, event.source), (SUBJECT, event.subject)]
        texts.append((CAUSATION, str(event.extensions["causationid"])))
        for kind, text in texts:
            if text:
                found = looked_up(arguments, kind, text, day)
                assert any(first <= received.seq <= last for first, last in found), (kind, text)
    assert looked_up(arguments, CORRELATION, "no event has it", 0) == set()


def test_many_events_of_a_source_share_an_entry_and_few_have_their_own() -> None:
    def batch(count: int) -> list[Received]:
        return [Received(Event(f"{n}", "s", "t"), "S", 1000 + n, 5.0) for n in range(count)]

    assert looked_up(packed(batch(3)), SOURCE, "s", 0) == {
        SequenceSpan(n, n) for n in (1000, 1001, 1002)
    }
    assert looked_up(packed(batch(200)), SOURCE, "s", 0) == {
        SequenceSpan(768, 1023),
        SequenceSpan(1024, 1279),
    }
    assert looked_up(packed(batch(200)), ID, "7", 0) == {SequenceSpan(1007, 1007)}


def test_an_entry_is_found_only_where_an_entry_begins() -> None:
    made = digest(ID, "x")
    shifted = b"\0" + made[1:] + b"\0" * 12
    assert spans_in(shifted, made) == set()
    assert spans_in(shifted + made[1:] + (9).to_bytes(5), made) == {SequenceSpan(9, 9)}


def test_filters_do_not_overlap() -> None:
    assert filters_for(log_subjects("a.b")) == ["a.b", "events.a.b"]
    assert filters_for(log_subjects("a.>")) == ["a.>", "events.a.>"]
    assert filters_for(["a.b", "a.>", "c"]) == ["a.>", "c"]
    assert filters_for(log_subjects(">")) == [], "all messages, as it overlaps events.>"
    assert filters_for(["*.b", "a.*"]) == [], "NATS refuses them together"
