"""What the gateway adds to an event: the chain that led to it and what is related."""

from client import Client, event
from event_gateway import __version__
from receiver import Receiver


def _item(sent: dict[str, str]) -> dict[str, str]:
    return {name: sent[name] for name in ("id", "source", "type", "time")}


async def test_a_chain_of_three(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*", "audit.>", "billing.*"])
    root = event("user.signedup", subject="user/7", time="2026-05-04T03:02:01.000000001+02:00")
    middle = event("billing.opened", causationid=root["id"], source="billing", subject="user/7")
    leaf = event("audit.events.opened", causationid=middle["id"], subject="user/7")
    for sent in (root, middle, leaf):
        await client.send(sent)
    await receiver.until(3)
    by_id = {one.json["id"]: one.json["data"]["enrichment"] for one in receiver.got}
    assert by_id[root["id"]]["correlation_chain"] == []
    assert by_id[middle["id"]]["correlation_chain"] == [_item(root)]
    last = by_id[leaf["id"]]
    assert last["correlation_chain"] == [_item(root), _item(middle)]
    assert last["related_events"] == [_item(middle), _item(root)]
    assert last["gateway_version"] == __version__
    assert last["processed_at"].endswith("Z")
    assert "incomplete" not in last


async def test_correlation_and_its_bounds(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    start = event("user.a")
    await client.send(start)
    sent = [event("user.b", correlationid=start["id"]) for _ in range(15)]
    await client.send(sent)
    got = {one.json["id"]: one.json["data"]["enrichment"] for one in await receiver.until(16)}
    last = got[sent[-1]["id"]]
    assert last["correlation_chain"] == [_item(start)]
    assert last["related_events"] == [_item(one) for one in sent[-2:-12:-1]]

    chain = [event("user.c")]
    for _ in range(40):
        chain.append(event("user.c", causationid=chain[-1]["id"]))
    await client.send(chain)
    got = {one.json["id"]: one.json["data"]["enrichment"] for one in await receiver.until(57)}
    assert got[chain[-1]["id"]]["correlation_chain"] == [_item(one) for one in chain[-33:-1]]


async def test_a_circle_ends_and_other_data_stays_as_it_is(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    one, other = event("user.a", id="x", causationid="y"), event("user.a", id="y", causationid="x")
    await client.send([one, other])
    got = {g.json["id"]: g.json["data"]["enrichment"] for g in await receiver.until(2)}
    assert got["x"]["correlation_chain"] == [_item(other)]
    assert got["y"]["correlation_chain"] == [_item(one)]

    await client.send(event("user.list", [1, 2]))
    assert (await receiver.until(3))[2].json["data"] == [1, 2]
    await client.send(event("user.text", "hi", datacontenttype="text/plain"))
    assert (await receiver.until(4))[3].json["data"] == "hi"
    spoofed = event("user.mine", {"a": 1, "enrichment": {"processed_at": "never"}})
    await client.send(spoofed)
    data = (await receiver.until(5))[4].json["data"]
    assert data["a"] == 1
    assert data["enrichment"]["processed_at"] != "never"


async def test_a_webhook_may_do_without(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], enrich=False)
    sent = event("user.a", {"a": [1.50, "é\u2028"]})
    await client.send(sent)
    assert (await receiver.until(1))[0].json == sent
