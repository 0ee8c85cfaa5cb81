"""A webhook is renamed in the file while the gateway is killed: nothing is lost."""

import asyncio
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

from support.client import connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver

NAMES = ["old", "a", "b"]
DELAYS = [0.0, 0.5]  # seconds from the change until the gateway is killed


async def test_a_renaming_survives_kills(tmp_path: Path, receiver: Receiver) -> None:
    hook: dict[str, Any] = {
        "url": f"{receiver.url}/hook", "events": ["user.*"], "timeout": "200ms",
        "retry_policy": {"max_attempts": 100, "backoff": "fixed", "initial_delay": "1s"},
        "circuit_breaker": {"failure_threshold": 10000},
    }  # fmt: skip
    receiver.answers["/hook"] = [500]
    program = Program(tmp_path, LOOPBACK | {"webhooks": {"old": hook}})
    at = await program.start()
    sent: list[str] = []
    try:
        for (former, name), delay in zip(itertools.pairwise(NAMES), DELAYS, strict=True):
            async with connected(at["http"], at["nats"], at["key"]) as client:
                for _ in range(5):
                    sent.append(f"e{len(sent)}")
                    await client.send(event("user.a", id=sent[-1]))
                await client.until(former, sent[-1], "retrying")
            renamed = LOOPBACK | {"webhooks": {name: hook | {"renamed_from": former}}}
            await program.reload(renamed, "it takes over the waiting deliveries")
            await asyncio.sleep(delay)
            program.kill()
            at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            async with asyncio.timeout(PATIENCE):
                while len((await client.http.get("/v1/webhooks")).json()["items"]) > 1:
                    await asyncio.sleep(0.2)
            # On a busy machine a request that succeeds may take longer than its short timeout.
            patient = hook | {"renamed_from": former, "timeout": "1m"}
            await program.reload(LOOPBACK | {"webhooks": {name: patient}}, "configuration reloaded")
            before = len(receiver.requests)
            receiver.answers["/hook"] = [200]
            for each in sent:
                record = await client.until("b", each, "succeeded")
                assert len(record["attempts"]) > 1  # those under the former ids
            stats = (await client.http.get("/v1/webhooks/b/stats")).json()
            assert (stats["queue_depth"], stats["succeeded"], stats["cancelled"]) == (
                0, len(sent), 0,
            )  # fmt: skip
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output
    taken = Counter(request.json["id"] for request in receiver.requests[before:])
    assert set(taken) == set(sent)
    assert max(taken.values()) <= 2, taken  # one may be under way when the receiver recovers
    ids = {(request.json["id"], request.headers["webhook-id"]) for request in receiver.requests}
    assert len(ids) == len(sent)  # a receiver recognises them, whatever the webhook is called
