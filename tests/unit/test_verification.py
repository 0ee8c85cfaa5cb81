"""Verification of exports of compliance streams: what was changed is found, and nothing else."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from event_gateway.core.compliance import message_order, packed_export
from event_gateway.core.compliance.anchor import Anchor, Statement, held_since, public_name, sign
from event_gateway.core.compliance.chain import StoredMessage
from event_gateway.core.compliance.export import MessageLine, decode_line, encode, message_line
from event_gateway.core.compliance.packed_export import (
    Pieces,
    packed_line,
    packed_messages,
)
from event_gateway.core.compliance.verification import ChainVerification
from event_gateway.core.streams.definition import Hold, StreamDefinition
from event_gateway.core.text.times import rfc3339
from support.exports import DAY, KEY, NOW, OTHER_KEY, lines_of, message

TRUSTED = [public_name(KEY)]
COUNT = 60
OLD = Path(__file__).parents[1] / "data" / "compliance" / "anchors_1.ndjson"
# Limits under which the first 29 of 60 messages may have left.
LIMITS: tuple[dict[str, Any], ...] = (
    {"retention": 2 * DAY}, {"max_messages": 31}, {"max_bytes": 10_000},
)  # fmt: skip


def verified(
    lines: list[bytes], *, keys: list[str] = TRUSTED, outside: list[Anchor] | None = None
) -> dict[str, Any]:
    check = ChainVerification(now=NOW, keys=keys, outside=outside or [])
    for line in lines:
        check.add(line)
    return check.finish()


def export(seed: int = 1, **options: Any) -> list[bytes]:
    rng = random.Random(seed)
    return lines_of([message(seq, rng) for seq in range(1, COUNT + 1)], **options)


class Exports:
    """Random exports: to make one takes longer than to verify it, so each of a few is used for many
    changes."""

    def __init__(self, rng: random.Random, **options: Any) -> None:
        self._made = [
            export(
                seed=rng.randrange(10**6), size=rng.randrange(1, 12),
                **{name: rng.randrange(*between) for name, between in options.items()},
            )
            for _ in range(49)  # not a multiple of 2, 3 or 5: each gets all kinds of changes
        ]  # fmt: skip

    def __getitem__(self, number: int) -> list[bytes]:
        return list(self._made[number % len(self._made)])


def anchors_of(lines: list[bytes]) -> list[Anchor]:
    return [each for line in lines if isinstance(each := decode_line(line), Anchor)]


def kinds(report: dict[str, Any]) -> set[str]:
    return {problem["kind"] for problem in report["problems"]}


def positions(lines: list[bytes], kind: str) -> list[int]:
    return [at for at, line in enumerate(lines) if msgspec.json.decode(line)["type"] == kind]


def test_an_untouched_export_is_right() -> None:
    report = verified(export())
    assert report["problems"] == []
    assert (report["messages"], report["records"], report["anchors"]) == (COUNT, 9, 3)
    assert (report["chained_to"], report["anchored_to"], report["keys"]) == (60, 60, TRUSTED)


def test_messages_that_wait_for_their_record_are_counted() -> None:
    rng = random.Random(2)
    messages = [message(seq, rng) for seq in range(1, 66)]
    lines = lines_of(messages[:60])
    begin = msgspec.json.decode(lines[0])
    lines[0] = encode(begin | {"last": 65})
    end = msgspec.json.decode(lines.pop())
    lines += [message_line(each) for each in messages[60:]]
    lines.append(encode(end | {"messages": 65}))
    report = verified(lines)
    assert report["problems"] == []
    assert report["not_chained_yet"] == 5


def test_the_oldest_messages_may_have_left() -> None:
    """The verification begins at what is left, be it in the middle of a record."""
    for left in (2, 7, 8, 20, 22, 41, 60):
        report = verified(export(left=left, retention=2 * DAY))
        assert report["problems"] == [], left
        assert report["first"] == left


def test_messages_that_left_before_their_time_are_missed() -> None:
    report = verified(export(left=30))
    assert [(each["kind"], each["first"], each["last"]) for each in report["problems"]] == [
        ("left_early", 1, 29)
    ]


def test_an_export_that_begins_at_an_anchor() -> None:
    lines = export(left=30, retention=2 * DAY)
    first = positions(lines, "anchor")[0]
    end = msgspec.json.decode(lines[-1])
    records = len([at for at in positions(lines, "record") if at > first])
    lines = [lines[0], *lines[first:-1], encode(end | {"records": records})]
    report = verified(lines)
    assert report["problems"] == []
    assert report["begins_behind"] == 21
    # Without that anchor nothing says where the chain came from.
    assert "chain" in kinds(verified([lines[0], *lines[2:]]))


def test_a_chain_that_was_rewritten_is_found_by_the_anchors() -> None:
    kept = anchors_of(export(seed=1))
    rewritten = export(seed=2)
    assert kinds(verified(rewritten, outside=kept)) == {"anchor"}
    assert verified(rewritten)["problems"] == []  # stolen key: only what is kept outside tells
    # Without the key the writer can leave the anchors out, keep them, or sign with another key.
    without = [line for line in rewritten if not isinstance(decode_line(line), Anchor)]
    assert kinds(verified(without)) == {"anchor"}
    old = [encode(each) for each in kept]
    former = list(rewritten)
    for at, line in zip(positions(rewritten, "anchor"), old, strict=True):
        former[at] = line
    assert kinds(verified(former)) == {"anchor"}
    assert kinds(verified(export(seed=2, key=OTHER_KEY))) == {"anchor"}


def test_an_end_that_was_cut_off_is_found_by_an_anchor_kept_outside() -> None:
    whole = export()
    rng = random.Random(1)
    cut = lines_of([message(seq, rng) for seq in range(1, 43)])
    assert verified(cut)["problems"] == []
    assert kinds(verified(cut, outside=anchors_of(whole))) == {"anchor"}
    assert kinds(verified(whole[:-1])) == {"export"}


def test_500_random_changes_are_all_found() -> None:
    rng = random.Random(2026)
    exports = Exports(rng, anchor_each=(1, 4))
    for number in range(500):
        lines = exports[number]
        change = (_alter, _swap_lines, _swap_contents, _remove, _insert, _alter_chain)[number % 6]
        changed = change(lines, rng)
        assert changed != lines
        assert verified(changed)["problem_count"] > 0, (number, change.__name__)


def test_500_random_bytes_are_all_found() -> None:
    """Of the text of messages, records and anchors, whatever that makes of the line."""
    rng = random.Random(47)
    lines = export()
    places = [at for kind in ("message", "record", "anchor") for at in positions(lines, kind)]
    found = 0
    while found < 500:
        at = rng.choice(places)
        line = lines[at]
        place = rng.randrange(len(line))
        changed = line[:place] + bytes([line[place] ^ rng.randrange(1, 256)]) + line[place + 1 :]
        if _means(changed) == decode_line(line):
            continue  # such as a bit that base64 does not use
        assert verified([*lines[:at], changed, *lines[at + 1 :]])["problem_count"], changed
        found += 1


def test_messages_that_changed_places_are_the_only_ones_that_are_told() -> None:
    rng = random.Random(20)
    exports = Exports(rng)
    for number in range(300):
        lines = exports[number]
        places = positions(lines, "message")
        first, other = sorted(rng.sample(range(COUNT), 2))
        changed = list(lines)
        changed[places[first]], changed[places[other]] = lines[places[other]], lines[places[first]]
        problems = verified(changed)["problems"]
        moved = {each["first"] for each in problems}
        assert {each["kind"] for each in problems} == {"reordered"}, (
            first + 1,
            other + 1,
            problems,
        )
        if other - first > 2:
            assert moved == {first + 1, other + 1}, problems
        else:  # others may as well have been moved: of two that stand side by side, one was
            assert len(moved) <= 2, problems
        assert all(each["first"] == each["last"] for each in problems)


def test_what_was_moved_and_what_is_missing_are_told_apart() -> None:
    lines = export()
    places = positions(lines, "message")
    moved = [lines[at] for at in places[9:13]]  # the messages 10 to 13, behind the message 40
    at = places[39] + 1
    changed = [*lines[:at], *moved, *lines[at:]]
    for place in reversed(places[9:13]):
        del changed[place]
    del changed[changed.index(lines[places[49]])]
    problems = verified(_recounted(changed))["problems"]
    assert [(each["kind"], each["first"], each["last"]) for each in problems] == [
        ("reordered", 10, 13), ("removed", 50, 50),
    ]  # fmt: skip


def test_what_is_kept_of_moved_messages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_order, "MAX_KEPT", 3)
    lines = export()
    places = positions(lines, "message")
    shuffled = list(places)
    random.Random(3).shuffle(shuffled)
    changed = list(lines)
    for place, other in zip(places, shuffled, strict=True):
        changed[place] = lines[other]
    check = ChainVerification(now=NOW, keys=TRUSTED)
    for line in changed:
        check.add(line)
        assert len(check._order._holes) <= 3
        assert len(check._order._early) <= 3
    assert check.finish()["problem_count"] > 20


def test_the_compact_form_of_an_export_is_verified_as_its_lines_are() -> None:
    rng = random.Random(91)
    exports = Exports(rng)
    for number in range(500):
        lines = exports[number]
        if number % 6:
            change = (_alter, _swap_lines, _swap_contents, _remove, _insert)[number % 5]
            lines = change(lines, rng)
        check = ChainVerification(now=NOW, keys=TRUSTED)
        pieces, packed = Pieces(), b"".join(_packed(lines, rng))
        while packed:
            size = rng.choice([1, 30, 1000, len(packed)])
            for piece in pieces.add(packed[:size]):
                check.add_piece(piece)
            packed = packed[size:]
        report = check.finish()
        assert report == verified(lines)
        assert bool(report["problem_count"]) == bool(number % 6)


def test_messages_that_are_cut_off_are_no_messages() -> None:
    (piece,) = Pieces().add(packed_messages([message(1, random.Random(1))]))
    for cut in (piece[:20], piece[:-1]):
        check = ChainVerification(now=NOW)
        check.add_piece(cut)
        assert "a message is not complete" in str(check.problems.told)
        assert check.messages == 0


def test_a_piece_that_no_gateway_writes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_export, "MAX_PIECE", 1000)
    pieces = Pieces()
    assert list(pieces.add(packed_line(b"x" * 999))) == [b"L" + b"x" * 999]
    with pytest.raises(packed_export.PieceTooLarge):
        list(pieces.add(packed_line(b"x" * 1000)[:10]))


def _packed(lines: list[bytes], rng: random.Random) -> Iterator[bytes]:
    """The lines in the compact form, some messages at a time."""
    waiting: list[StoredMessage] = []
    for line in lines:
        decoded = decode_line(line)
        is_message = isinstance(decoded, MessageLine)
        if is_message:
            waiting.append(decoded.message())
        if waiting and (not is_message or rng.random() < 0.2):
            yield packed_messages(waiting)
            waiting = []
        if not is_message:
            yield packed_line(line)


def _means(line: bytes) -> Any:
    try:
        return decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _alter(lines: list[bytes], rng: random.Random) -> list[bytes]:
    """One byte of the payload, of the headers or of the subject, or the time."""
    at = rng.choice(positions(lines, "message"))
    stored = decode_line(lines[at]).message()
    member = rng.choice(["data", "subject", "time", *(["headers"] if stored.headers else [])])
    value = getattr(stored, member)
    if isinstance(value, int):
        changed: Any = value ^ (1 << rng.randrange(60))
    else:
        place = rng.randrange(len(value))
        changed = value[:place] + bytes([value[place] ^ rng.randrange(1, 256)]) + value[place + 1 :]
    setattr(stored, member, changed)
    return [*lines[:at], message_line(stored), *lines[at + 1 :]]


def _swap_lines(lines: list[bytes], rng: random.Random) -> list[bytes]:
    first, second = sorted(rng.sample(positions(lines, "message"), 2))
    changed = list(lines)
    changed[first], changed[second] = changed[second], changed[first]
    return changed


def _swap_contents(lines: list[bytes], rng: random.Random) -> list[bytes]:
    """Two messages change their places, and get the sequences of these."""
    first, second = sorted(rng.sample(positions(lines, "message"), 2))
    changed = list(lines)
    single, other = (msgspec.json.decode(lines[at]) for at in (first, second))
    changed[first] = encode(other | {"seq": single["seq"]})
    changed[second] = encode(single | {"seq": other["seq"]})
    return changed


def _remove(lines: list[bytes], rng: random.Random) -> list[bytes]:
    """One message; the counts at the end are made to fit."""
    at = rng.choice(positions(lines, "message"))
    return _recounted([*lines[:at], *lines[at + 1 :]])


def _insert(lines: list[bytes], rng: random.Random) -> list[bytes]:
    """A further message, with the sequence of one that is there, or of none."""
    at = rng.choice(positions(lines, "message"))
    known = decode_line(lines[at])
    assert isinstance(known, MessageLine)
    further = msgspec.structs.replace(known, seq=rng.choice([known.seq, 0, COUNT + 1]))
    return _recounted([*lines[:at], encode(further), *lines[at:]])


def _alter_chain(lines: list[bytes], rng: random.Random) -> list[bytes]:
    """One byte of a record or an anchor, or one of them is gone."""
    at = rng.choice([*positions(lines, "record"), *positions(lines, "anchor")[:-1]])
    if rng.random() < 0.3:
        return _recounted([*lines[:at], *lines[at + 1 :]])
    members = msgspec.json.decode(lines[at])
    if members["type"] == "record":
        member = rng.choice(["first", "last", "previous", "link", "digests"])
    else:
        member = rng.choice(["statement", "signature"])
    value = members[member]
    if isinstance(value, int):
        members[member] = value + rng.choice([-1, 1])
    else:
        place = rng.randrange(4, len(value) - 4)
        members[member] = value[:place] + ("0" if value[place] != "0" else "1") + value[place + 1 :]
    return [*lines[:at], encode(members), *lines[at + 1 :]]


def _recounted(lines: list[bytes]) -> list[bytes]:
    counts = {"messages": len(positions(lines, "message")),
              "records": len(positions(lines, "record"))}  # fmt: skip
    return [*lines[:-1], encode(msgspec.json.decode(lines[-1]) | counts)]


def test_any_line_that_is_no_line_is_named() -> None:
    lines = export()
    short = b'{"type":"record","first":1}'
    for broken in (b"", b"{}", b"[]", b'{"type":"message"}', b"\xff", short):
        report = verified([*lines[:5], broken, *lines[5:]])
        assert kinds(report) == {"export"}, broken


def test_a_text_beside_the_bytes_that_were_chained_is_found() -> None:
    lines = export()
    at = next(at for at, line in enumerate(lines) if b'"data_base64"' in line)
    lines[at] = encode(msgspec.json.decode(lines[at]) | {"data": "another"})
    assert "export" in kinds(verified(lines))


def test_what_left_before_a_hold_is_not_missed() -> None:
    """A hold takes the limits away, also those under which the oldest messages have left."""
    held_since = rfc3339(NOW + 1)
    for limits in LIMITS:
        lines = export(left=30, **{"retention": None} | limits)
        lines[0] = encode(msgspec.json.decode(lines[0]) | {"held_since": held_since})
        assert verified(lines)["problems"] == [], limits


def test_what_leaves_under_a_hold_is_missed() -> None:
    lines = export(left=30, retention=2 * DAY)
    begin = msgspec.json.decode(lines[0])
    lines[0] = encode(begin | {"held_since": "now"})
    assert kinds(verified(lines)) == {"export"}
    for limits in LIMITS:
        lines = export(left=30, **{"retention": None} | limits)
        begin = msgspec.json.decode(lines[0])
        lines[0] = encode(begin | {"held_since": rfc3339(0.0)})
        assert kinds(verified(lines)) == {"left_early"}, limits
        # Anchors say that there is a hold: the export need not.
        lines = export(left=30, **{"retention": None, "held_since": rfc3339(1.0)} | limits)
        lines[0] = encode(begin | {"held_since": ""})
        (problem,) = verified(lines)["problems"]
        assert problem["kind"] == "left_early"
        assert "held since 1970-01-01T00:00:01.000Z" in problem["detail"]


def test_what_leaves_after_a_hold_is_not_missed() -> None:
    """An anchor says that there is a hold, and the one behind it that there is none any more."""
    rng = random.Random(5)
    messages = [message(seq, rng) for seq in range(1, COUNT + 1)]
    held = lines_of(messages, retention=2 * DAY, held_since=rfc3339(1.0))
    free = lines_of(messages, retention=2 * DAY)
    at, last = positions(free, "anchor")[0], positions(free, "anchor")[-1]
    first = anchors_of(held)[0]
    lines = [*free[:at], encode(first)]
    former = first
    for line in free[at + 1 : last + 1]:
        decoded = decode_line(line)
        if isinstance(decoded, Anchor):
            statement = msgspec.structs.replace(decoded.read(), previous=former.digest)
            decoded = former = sign(statement, KEY)
        lines.append(line if not isinstance(decoded, Anchor) else encode(decoded))
    lines += free[last + 1 :]
    assert verified(lines)["problems"] == []
    begin = msgspec.json.decode(lines[0]) | {"first": 30}
    gone = [line for at, line in enumerate(lines)
            if at not in positions(lines, "message")[:29]]  # fmt: skip
    gone = _recounted([encode(begin), *gone[1:]])
    assert verified(gone)["problems"] == []
    assert kinds(verified(gone[: gone.index(encode(first)) + 1])) >= {"left_early", "export"}


def test_the_limits_that_were_signed_count() -> None:
    """A change of the first line of an export, or of the definition, hides no removal."""
    for signed in ({}, {"max_messages": 1000}, {"max_bytes": 100_000_000}):
        lines = export(left=30, retention=None, **signed)
        begin = msgspec.json.decode(lines[0])
        for claimed in LIMITS:
            lines[0] = encode(begin | claimed)
            assert kinds(verified(lines)) == {"left_early"}, (signed, claimed)
    # Limits that were raised since the messages left were not in force then.
    lines = export(left=30, retention=None, max_messages=31)
    lines[0] = encode(msgspec.json.decode(lines[0]) | {"max_messages": 1000})
    assert verified(lines)["problems"] == []


def test_limits_of_any_size_are_compared() -> None:
    """The writer of an export, who signs its anchors, cannot end the verification."""
    for limits in ({"retention": 1e300}, {"max_messages": 10**400}, {"max_bytes": 10**400}):
        lines = export(left=30, **{"retention": None} | limits)
        lines[0] = encode(msgspec.json.decode(lines[0]) | {"max_messages": None, "max_bytes": None})
        assert kinds(verified(lines)) == {"left_early"}, limits
    (former, *_) = anchors_of(export())
    altered = former.statement.replace("retention: 31536000.000s", "retention: nans")
    assert altered != former.statement
    with pytest.raises(ValueError, match="no number of seconds"):
        msgspec.structs.replace(former, statement=altered).read()


def test_anchors_of_the_first_version_are_verified() -> None:
    """They state no limits but the retention: those of the first line count."""
    lines = OLD.read_bytes().splitlines()
    assert verified(lines)["problems"] == []
    assert {anchor.read().version for anchor in anchors_of(lines)} == {1}
    begin = msgspec.json.decode(lines[0])
    lines = [line.replace(b"retention: 172800.000s", b"retention: 272800.000s") for line in lines]
    assert kinds(verified(lines)) == {"anchor"}
    assert begin["retention"] == 2 * DAY


def test_a_statement_says_the_limits_of_its_stream() -> None:
    """Else the stream would be anchored again and again."""
    hold = Hold("h-1", "case", 1.23456)
    for definition in (
        StreamDefinition("audit", ("a.*",), retention=1.00049, compliance=True, holds=(hold,)),
        StreamDefinition("audit", ("a.*",), max_messages=7, max_bytes=8, compliance=True),
    ):
        made = Statement(
            "audit", 1, "00", "t", 1, "t", definition.retention, "", definition.max_messages,
            definition.max_bytes, held_since(definition),
        )  # fmt: skip
        read = sign(made, KEY).read()
        assert made.states(definition)
        assert read.states(definition)
        other = msgspec.structs.replace(definition, max_bytes=9)
        assert not read.states(other)
        assert not msgspec.structs.replace(read, version=1).states(definition)


def test_two_anchors_kept_outside_that_contradict_each_other_are_named() -> None:
    lines, rewritten = export(seed=1), export(seed=2)
    kept = [*anchors_of(lines), *anchors_of(rewritten)]
    assert kinds(verified(lines, outside=kept)) == {"anchor"}


def test_the_retention_that_was_signed_counts() -> None:
    lines = export(left=30)
    lines[0] = encode(msgspec.json.decode(lines[0]) | {"retention": 1.0})
    assert kinds(verified(lines)) == {"left_early"}
    # A retention that is longer now was not in force when the messages left.
    lines = export(left=30, retention=2 * DAY)
    lines[0] = encode(msgspec.json.decode(lines[0]) | {"retention": 2000 * DAY})
    assert verified(lines)["problems"] == []
