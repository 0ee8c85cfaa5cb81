"""What ``event-gateway send`` makes of its input, and how it goes on after a refusal."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from event_gateway.cli.client.rates import parse_rate
from event_gateway.cli.send import inputs
from event_gateway.cli.send.event_text import (
    Defaults,
    Event,
    NotAnEvent,
    check_data,
    complete,
    with_counters,
)
from event_gateway.cli.send.inputs import Input
from event_gateway.cli.send.load import Load
from event_gateway.cli.send.publishing import HttpPublisher, Outcome, PublishingRefused
from event_gateway.cli.send.session import Sending, Sent
from support.in_process import run_here

WHOLE = b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"n":1.10}}'


def test_an_event_gets_what_it_lacks() -> None:
    defaults = Defaults(type="t", source="s")
    assert complete(b" " + WHOLE + b"\r", defaults) == WHOLE
    filled = complete(b'{ "data": {"n": 1.10} }', defaults)
    assert b'"data": {"n": 1.10} }' in filled, "its own bytes stay as they are"
    event = json.loads(filled)
    assert (event["specversion"], event["source"], event["type"]) == ("1.0", "s", "t")
    assert json.loads(complete(b"{}", defaults))["id"] != event["id"]
    for text, reason in (
        (b'{"id":', "is not JSON"),
        (b"[1]", "Expected `object`"),
        (b'{"id": 2}', "$.id"),
        (b'{"id": ""}', "id is empty"),
    ):
        with pytest.raises(NotAnEvent, match=reason.replace("$", r"\$")):
            complete(text, defaults)
    with pytest.raises(NotAnEvent, match="--type"):
        complete(b"{}", Defaults())


def test_counters_in_a_template() -> None:
    defaults = Defaults(
        type="t", subject="s/{{n}}", data=check_data('{"n":{{ n }},"u":"{{uuid}}"}'),
        extensions=(("tenant", 'a"b'),),
    )  # fmt: skip
    events = [json.loads(text) for text in with_counters(defaults.event(), 3)]
    assert [(event["subject"], event["data"]["n"]) for event in events] == [
        ("s/1", 1), ("s/2", 2), ("s/3", 3),
    ]  # fmt: skip
    assert len({event["data"]["u"] for event in events}) == 3
    assert events[0]["tenant"] == 'a"b'
    with pytest.raises(NotAnEvent):
        check_data("{n}")
    assert [parse_rate(text) for text in ("100/s", "90/m", "0.5 / s")] == [100, 1.5, 0.5]
    for wrong in ("100", "0/s", "-1/s", "1/d"):
        with pytest.raises(ValueError, match="is not a rate"):
            parse_rate(wrong)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        ('{"a":1}', [1]),
        ('{"a":1}\n', [1]),
        ('\n{"a":1}\n\n{"a":2}', [2, 4]),
        ('{"a":1}\r\n{"a":2}\r\n', [1, 2]),
        ('{\n "a": 1\n}\n', [1]),
        ('[{"a":1},\n{"a":2}]', [1, 2]),
        ('{"a":1}\nnonsense\n{"a":3}\n', [1, 2, 3]),
    ],
)
async def test_lines_arrays_and_documents(tmp_path: Path, text: str, numbers: list[int]) -> None:
    (tmp_path / "file").write_text(text)
    source = Input(tmp_path / "file")
    assert [number async for portion in source.events() for number, _ in portion] == numbers
    assert source.read == len(text)


@pytest.mark.parametrize(
    ("text", "limit", "numbers", "reason"),
    [
        ('{"a":1}\n{"b":"' + 9000 * "x", "MAX_LINE", [1], "line 2 is larger than 5000 bytes"),
        ('{"a":"' + 9000 * "x", "MAX_DOCUMENT", [], "is larger than 5000 bytes and no JSON lines"),
        (9000 * "\n" + '{"a":1}\n', "MAX_DOCUMENT", [9001], ""),
        ('{"a":1}\n' * 1000, "MAX_LINE", [*range(1, 1001)], ""),
    ],
)
async def test_input_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, limit: str, numbers: list[int],
    reason: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(inputs, "CHUNK", 1000)
    monkeypatch.setattr(inputs, limit, 5000)
    (tmp_path / "file").write_text(text)
    found: list[int] = []
    wrong = ""
    try:
        async for portion in Input(tmp_path / "file").events():
            found += [number for number, _ in portion]
    except NotAnEvent as error:
        wrong = str(error)
    assert (found, wrong[: len(reason)] if reason else wrong) == (numbers, reason)


class Taking:
    """Takes batches as a gateway does; ``wrong``: ids that it refuses, by name or as a whole."""

    def __init__(self, wrong: set[str], *, names: bool = True, status: int = 422) -> None:
        self.wrong, self.names, self.status = wrong, names, status
        self.batches: list[list[str]] = []

    async def request(self, _method: str, _path: str, body: Any, _type: str) -> tuple[int, Any]:
        ids = [event["id"] for event in json.loads(bytes(body))]
        bad = [at for at, event_id in enumerate(ids) if event_id in self.wrong]
        if bad:
            errors = [{"index": at, "detail": "wrong"} for at in bad[:2]] if self.names else []
            return self.status, {"detail": "of the batch", "errors": errors}
        self.batches.append(ids)
        return 202, {
            "accepted": len(ids),
            "duplicates": 0,
            "items": [{"sequence": n} for n in range(len(ids))],
        }


def _events(count: int) -> list[Event]:
    return [(n, json.dumps({"id": str(n)}).encode()) for n in range(1, count + 1)]


@pytest.mark.parametrize("names", [True, False])
async def test_what_is_refused_does_not_stop_the_rest(names: bool) -> None:
    gateway = Taking({"2", "5", "6"}, names=names)
    outcome = await HttpPublisher(gateway).publish(_events(9))  # type: ignore[arg-type]
    detail = "wrong" if names else "of the batch"
    assert sorted(outcome.refused) == [(2, detail), (5, detail), (6, detail)]
    taken = sorted(int(event_id) for batch in gateway.batches for event_id in batch)
    assert (taken, outcome.accepted) == ([1, 3, 4, 7, 8, 9], 6)


async def test_a_refused_caller_ends_it() -> None:
    publisher = HttpPublisher(Taking({"1"}, names=False, status=401))  # type: ignore[arg-type]
    with pytest.raises(PublishingRefused, match="of the batch"):
        await publisher.publish(_events(2))


async def test_it_is_known_what_was_sent_when_it_is_interrupted() -> None:
    reached = asyncio.Event()

    class Stuck:
        """Takes each batch but that with event 3."""

        async def publish(self, batch: list[Event]) -> Outcome:
            if any(number == 3 for number, _ in batch):
                await asyncio.Event().wait()
            if batch[-1][0] == 8:
                reached.set()
            return Outcome(accepted=len(batch))

    sending = Sending(Stuck(), Defaults(type="t"), batch=2, at_once=3, rate=None)
    source, sent = Load(b'{"id":"{{n}}"}', 8), Sent("load")
    running = asyncio.create_task(sending.send(source, sent, quiet=True))
    await reached.wait()
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (sent.next_number, sent.furthest, sent.complete) == (3, 9, False)
    assert sent.outcome.accepted == 6


def test_wrong_usage_is_one_line() -> None:
    for words, message in (
        ([], "--type"),
        (["--type", "t", "--data", "{"], "--data: is not JSON"),
        (["--type", "t", "--rate", "fast"], "--rate: "),
        (["--type", "t", "--extension", "A=b"], "--extension: "),
        (["a", "b", "--count", "2"], "--count takes one file"),
        (["a", "--data", "1"], "for an event without a file"),
        (["/nowhere/at/all"], "/nowhere/at/all: No such file"),
    ):
        run_here("send", *words, "--url", "http://127.0.0.1:1", "--key", "k").assert_refused(
            2, message
        )
