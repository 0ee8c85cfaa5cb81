"""``event-gateway send`` and ``trigger``: real commands against a running gateway."""

import json
from pathlib import Path

from event_gateway.cli.process.serve import Running
from support.client import Client
from support.fixtures import Command
from support.receiver import Receiver


async def test_events_are_sent(
    gateway: Running, client: Client, receiver: Receiver, run: Command, tmp_path: Path
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=[">"])
    single = await run("send", "--type", "a.b", "--subject", "s", "--data", '{"n": 1.10}')
    assert single.out == "accepted, sequence 1\n", single.err
    load = await run("send", "--type", "load", "--count", "300", "--data", '{"n": {{n}}}',
                     "--batch", "100", "--rate", "5000/s")  # fmt: skip
    assert load.out.startswith("300 accepted")
    lines = ['{"type":"l.x","id":"1"}', "{bad", "", '{"type":"webhook.failed"}', '{"type":"l.y"}']
    (tmp_path / "lines").write_text("\n".join(lines))
    some = await run("send", str(tmp_path / "lines"))
    assert some.status == 1
    assert some.out.startswith("2 accepted, 2 refused")  # with its rate, where it took long
    first, second = some.err.splitlines()
    assert first.startswith(f"{tmp_path / 'lines'}:2: is not JSON")
    assert second.startswith(f"{tmp_path / 'lines'}:4: types that begin with webhook.")
    again = await run("send", str(tmp_path / "lines"), "--json")
    assert (again.status, again.json["accepted"], again.json["duplicates"]) == (1, 1, 1)
    assert [item["number"] for item in again.json["refused"]] == [2, 4]

    over_nats = await run("send", "-", "--nats", "--nats-url", gateway.nats_url,
                          given='[{"type":"user.n","id":"n"}]')  # fmt: skip
    assert over_nats.out == "accepted, sequence 305\n", over_nats.err
    data = '{"schema_id":"s-1"}'
    await client.http.post("/v1/event-types", json={"type": "ontology.schema.created",
                                                    "examples": [json.loads(data)]})  # fmt: skip
    for words, origin in (
        (["ontology.schema.created"], "the catalog's example: "),
        (["user.authenticated"], "no example in the catalog, the demo's: "),
        (["unknown.to.all"], "no example in the catalog, sent without data: {}"),
    ):
        sent = await run("trigger", *words)
        assert (sent.status, sent.out.split()[0]) == (0, "accepted,"), sent.err
        assert sent.err.startswith(origin)
    await receiver.until(308, "/w")
    by_type = {request.json["type"]: request for request in receiver.requests}
    assert b'"n":1.10' in by_type["a.b"].body.replace(b" ", b"")
    assert by_type["ontology.schema.created"].json["data"]["schema_id"] == "s-1"
    assert {"user.n", "l.x", "l.y", "user.authenticated", "unknown.to.all"} <= set(by_type)

    (await run("send", "--type", "x", "--key", "wrong")).assert_refused(1, "the key is wrong")
