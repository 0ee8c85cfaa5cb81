"""Four gateways on one NATS and one Redis: how they share the work, and what a restart of each
costs while events come in."""

import asyncio
import contextlib
import itertools
import re

import httpx

from support.client import STRUCTURED, Client, event
from support.patience import PATIENCE
from support.peers import Peers
from support.receiver import Receiver

COUNT = 4
_ATTEMPTS = re.compile(r'event_gateway_attempts_total\{[^}]*webhook="w"[^}]*\} (\S+)')


async def _attempts(client: Client) -> float:
    """How many attempts the process of a client has made."""
    answer = await client.http.get("/metrics")
    return sum(map(float, _ATTEMPTS.findall(answer.text)))


async def test_four_gateways_share_the_load(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    """Each makes a quarter of the attempts, within a fifth, while events come at a steady rate;
    and the others take what one that is killed had in work."""
    clients = await peers.start(stack, *({} for _ in range(COUNT)))
    await clients[0].webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], timeout="1m", concurrency=128
    )
    sent: list[str] = []
    for turn in range(100):
        built = [event("user.a") for _ in range(40)]
        await clients[turn % COUNT].send(built)
        sent += [each["id"] for each in built]
        await receiver.until(len(sent), "/w")
    shares = [0.0]
    async with asyncio.timeout(PATIENCE):
        while sum(shares) < len(sent):  # the last answers have yet to arrive
            shares = [await _attempts(client) for client in clients]
    mean = sum(shares) / COUNT
    assert sum(shares) == len(sent)
    assert all(0.8 * mean <= share <= 1.2 * mean for share in shares), shares

    # The leases of the one that is killed end soon.
    changed = await clients[0].http.patch("/v1/webhooks/w", json={"timeout": "2s"})
    assert changed.status_code == 200, changed.text
    receiver.holds["/w"] = asyncio.Event()
    built = [event("user.a") for _ in range(100)]
    await clients[0].send(built)
    await receiver.until(len(sent) + 50, "/w")
    peers.programs[3].kill()
    receiver.holds.pop("/w").set()
    wanted = {each["id"] for each in built}
    async with asyncio.timeout(PATIENCE):
        while wanted - {each.json["id"] for each in receiver.requests_to("/w")}:
            await asyncio.sleep(0.05)
    for each in built:
        await clients[0].until("w", each["id"], "succeeded")


async def test_a_rolling_restart_under_load(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    """A publisher that goes to the next gateway where one drains or is away publishes every event
    at its first round; each event is delivered, and none twice: a drain ends what it has begun."""
    clients = await peers.start(stack, *({} for _ in range(COUNT)))
    await clients[0].webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    urls = [str(client.http.base_url) for client in clients]
    keys = [client.key for client in clients]
    ended = asyncio.Event()
    accepted: list[str] = []

    async def publish() -> None:
        for turn in itertools.count():
            if ended.is_set():
                return
            built = event("user.a")
            for number in range(COUNT):
                at = (turn + number) % COUNT
                headers = STRUCTURED | {"Authorization": f"Bearer {keys[at]}"}
                try:
                    answer = await http.post(f"{urls[at]}/v1/events", json=built, headers=headers)
                except httpx.TransportError:
                    continue
                if answer.status_code == 202:
                    accepted.append(built["id"])
                    break
                assert answer.status_code == 503, answer.text
            else:
                raise AssertionError(f"no gateway has taken {built['id']}")

    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        publishing = asyncio.create_task(publish())
        for number, program in enumerate(peers.programs):
            before = len(accepted)
            assert await program.stop() == 0
            at = await program.start()
            urls[number], keys[number] = at["http"], at["key"]
            async with asyncio.timeout(PATIENCE):
                while len(accepted) < before + 20:
                    await asyncio.sleep(0.02)
                    assert not publishing.done(), publishing.exception()
        ended.set()
        await publishing
    async with asyncio.timeout(PATIENCE):
        while set(accepted) - {each.json["id"] for each in receiver.requests_to("/w")}:
            await asyncio.sleep(0.05)
    delivered = [each.json["id"] for each in receiver.requests_to("/w")]
    again = len(delivered) - len(set(delivered))
    assert again == 0, f"{again} of {len(delivered)} twice"
