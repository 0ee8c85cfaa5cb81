"""Chaos: a counted load while the gateway, NATS and Valkey are killed, one at a time, at random.

``python tests/chaos.py --seconds 600 --seed 7`` runs it for long; the tests run it for seconds. It
prints what was sent, lost and delivered twice, and ends with status 1 if anything was lost.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from client import STRUCTURED, event
from program import Program
from receiver import Receiver, receiving

WEBHOOKS = ("one", "two", "three")
VICTIMS = ("gateway", "nats", "valkey")
SETTLE = 90.0  # seconds in which all must have arrived once the killing has ended


@dataclass
class Outcome:
    """What became of a run. ``lost``: accepted and not delivered, by webhook."""

    seed: int
    accepted: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    twice: dict[str, int] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        kills = ", ".join(f"{name} {count} times" for name, count in sorted(self.kills.items()))
        return (
            f"seed {self.seed}: {self.accepted} events accepted, killed {kills}; "
            f"lost {sum(self.lost.values())} {self.lost}, twice {self.twice}"
        )


def _config(receiver: Receiver) -> dict[str, Any]:
    policy = {"max_attempts": 50, "backoff": "fixed", "initial_delay": "300ms"}
    return {
        "delivery": {"allow_networks": ["127.0.0.0/8"]},
        "webhooks": {
            name: {"url": f"{receiver.url}/{name}", "events": ["load.*"], "timeout": "2s",
                   "retry_policy": policy,
                   # Dice that fail a few times in a row open it, so that kills hit that too.
                   "circuit_breaker": {"failure_threshold": 4, "open_for": "500ms"}}
            for name in WEBHOOKS
        },
    }  # fmt: skip


class _Load:
    """Sends events over HTTP, each until it is accepted, and counts those that were."""

    def __init__(self, rate: float) -> None:
        self._pause = 1 / rate
        self.url = ""
        self.key = ""
        self.accepted: set[str] = set()
        self.ending = False

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=5) as http:
            while not self.ending:
                await self._until_accepted(http, event("load.made"))
                await asyncio.sleep(self._pause)

    async def _until_accepted(self, http: httpx.AsyncClient, one: dict[str, Any]) -> None:
        while True:
            with contextlib.suppress(httpx.TransportError):
                headers = STRUCTURED | {"X-API-Key": self.key}
                answer = await http.post(f"{self.url}/v1/events", json=one, headers=headers)
                if answer.status_code == 202:
                    self.accepted.add(one["id"])
                    return
                assert answer.status_code == 503, answer.text
            if self.ending:
                return
            await asyncio.sleep(0.1)


async def run(directory: Path, seconds: float, seed: int, rate: float = 60.0) -> Outcome:
    """One run of ``seconds`` seconds in a directory of its own."""
    dice = random.Random(seed)
    outcome = Outcome(seed)
    async with receiving() as receiver:
        receiver.answers["/two"] = [dice.choice([200, 200, 500]) for _ in range(5000)] + [200]
        program = Program(directory, _config(receiver))
        load = _Load(rate)
        sending = None
        try:
            at = await program.start()
            load.url, load.key = at["http"], at["key"]
            sending = asyncio.create_task(load.run())
            end = time.monotonic() + seconds
            order = list(VICTIMS)
            while time.monotonic() < end:
                await asyncio.sleep(dice.uniform(0.3, 2.5))
                if not order:
                    order = list(VICTIMS)
                victim = order.pop(dice.randrange(len(order)))
                outcome.kills[victim] += 1
                if victim == "gateway":
                    program.kill()
                    await asyncio.sleep(dice.uniform(0, 1))
                    load.url = (await program.start())["http"]
                else:
                    pid = int((program.data / f"{victim}.pid").read_text())
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            load.ending = True
            await sending
            outcome.accepted = len(load.accepted)
            await _settled(receiver, load.accepted)
            assert await program.stop() == 0
            assert "Traceback" not in program.output, program.output
        finally:
            if sending is not None:
                sending.cancel()
            await program.stop()
        for name in WEBHOOKS:
            answered = [one for one in receiver.at(f"/{name}") if one.status == 200]
            counts = Counter(one.json["id"] for one in answered)
            outcome.lost[name] = len(load.accepted - counts.keys())
            outcome.twice[name] = sum(count - 1 for count in counts.values())
    return outcome


async def _settled(receiver: Receiver, accepted: set[str]) -> None:
    end = time.monotonic() + SETTLE
    while time.monotonic() < end:
        await asyncio.sleep(0.25)
        taken: dict[str, set[str]] = {name: set() for name in WEBHOOKS}
        for one in receiver.got:
            if one.status == 200:
                taken[one.path[1:]].add(one.json["id"])
        if all(accepted <= ids for ids in taken.values()):
            return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        outcome = asyncio.run(run(Path(directory), given.seconds, given.seed, given.rate))
    print(outcome)
    return 1 if any(outcome.lost.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
