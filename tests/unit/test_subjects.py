"""Types as NATS subjects, and patterns of types as patterns of subjects."""

from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.core.cloudevents.type_subject import (
    log_subjects,
    spellings,
    subject_of,
    type_of,
)
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, matches
from event_gateway.core.streams.log_subjects import capturable, subject_for
from support.examples import examples

# Odd characters, and tokens that are long, or long once they are encoded.
TOKENS = st.sampled_from(
    ["a", "b", "", "%", "%20", "a b", "größe", "日本", "*", ">", "~", "q" * 60, "q" * 61, "é" * 30]
)
TYPES = st.lists(TOKENS, min_size=1, max_size=40).map(".".join).filter(bool)


def test_the_subject_of_a_type() -> None:
    for event_type, subject in (
        ("order.created", "order.created"), ("größe.x", "gr%C3%B6%C3%9Fe.x"), ("a b.c", "a%20b.c"),
        ("a..b", "a.%.b"), (".a", "%.a"), ("a.", "a.%"), ("a.*.>", "a.%2A.%3E"), ("%", "%25"),
        ("a.50%.b*", "a.50%25.b%2A"), ("x" * 255, "x" * 255), ('a"\x7f', "a%22%7F"),
    ):  # fmt: skip
        assert subject_of(event_type) == subject
        assert subject_for(event_type, ("a.>", "order.>")) in (subject, f"events.{subject}")
    assert subject_for("events.a", ("events.>",)) == "events.a"


@settings(max_examples=examples(500))
@given(TYPES, st.data())
def test_what_matches_a_type_matches_its_subject(event_type: str, data: st.DataObject) -> None:
    """With the exact pattern, and with wildcards in any places."""
    tokens = event_type.split(".")
    pattern_tokens = [data.draw(st.sampled_from((token, "*"))) for token in tokens]
    if data.draw(st.booleans()):
        pattern_tokens[data.draw(st.integers(0, len(tokens) - 1)) :] = [">"]
    pattern = ".".join(pattern_tokens)
    try:
        check_pattern(pattern, "")
    except InvalidDefinition:
        return
    assert matches(pattern, event_type)
    for captured in ((), (">",)):
        subject = subject_for(event_type, captured)
        assert len(subject) < 2000
        assert all(0x20 < ord(c) < 0x7F for c in subject)
        assert all(token and token not in ("*", ">") for token in subject.split("."))
        assert any(matches(written, subject) for written in log_subjects(pattern)), subject


@settings(max_examples=examples(500))
@given(TYPES, TYPES)
def test_types_have_subjects_of_their_own(first: str, second: str) -> None:
    assert (subject_of(first) == subject_of(second)) is (first == second)
    if "~" not in subject_of(first):
        assert type_of(f"events.{subject_of(first)}") == first.removeprefix("events.")


def test_a_subject_that_is_of_no_type_is_the_type() -> None:
    for subject in ("a.%2a", "a.%41", "a.%ZZ", "a.%FF", "a.%01", "größe.x", "a.b", "a.%%"):
        assert type_of(subject) == subject


def test_the_spellings_of_a_pattern() -> None:
    assert spellings("a.*.>") == ("a.*.>",)
    assert spellings("größe.*") == ("größe.*", "gr%C3%B6%C3%9Fe.*")
    assert spellings("a b.*") == ("a%20b.*",)
    assert spellings("gr%C3%B6%C3%9Fe.*")[0] == "gr%C3%B6%C3%9Fe.*"
    assert len(spellings(f"a.{'日' * 20}.>")) == 3
    assert log_subjects("a.b") == ("a.b", "events.a.b")
    assert log_subjects("events.a") == ("events.a",)
    assert capturable("größe.x") == ("größe.>", "gr%C3%B6%C3%9Fe.>")
    assert capturable("a b.>") == ("a%20b.>",)
    assert [capturable(p) for p in (">", "*.a", "eg.a", "$JS.x", "_a.b")] == [()] * 5
