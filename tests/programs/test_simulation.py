"""The simulation of retries (``bench/simulate.py``) counts what the real program does."""

import asyncio
from pathlib import Path

from bench.simulate import Case, simulate
from bench.surge import counted

from event_gateway.core.webhook.retry_policy import RetryPolicy
from support.client import event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program, running
from support.receiver import Receiver

EVENTS = 20
POLICY = RetryPolicy(max_attempts=4, backoff="fixed", initial_delay=1.0)


def test_every_event_is_delivered_waits_or_is_a_dead_letter() -> None:
    for down in (0.01, 0.1, 0.5):
        for threshold in (0, 5):
            case = Case(webhooks=100, down=down, outage=300, after=100, threshold=threshold)
            curve = simulate(case)
            count = round(case.webhooks * down)
            came = case.rate * (case.outage + case.after) * count
            healthy = (case.webhooks - count) * case.rate * len(curve.succeeded)
            ended = sum(curve.succeeded) - healthy + curve.dead
            assert abs(came - ended - curve.waiting[-1]) < 1, case


async def test_a_receiver_that_stays_down(tmp_path: Path, receiver: Receiver) -> None:
    """Without a circuit breaker: as many attempts and dead letters as simulated. With one that
    opens for an hour: as many attempts as it takes to open it."""
    simulated = simulate(Case(
        webhooks=1, rate=1.0, down=1.0, outage=EVENTS, after=0, policy=POLICY, threshold=0,
    ))  # fmt: skip
    # Of the events of the last seconds not all attempts are due yet.
    assert EVENTS - POLICY.max_attempts < simulated.dead < EVENTS
    opened = simulate(Case(
        webhooks=1, rate=1.0, down=1.0, outage=EVENTS, after=0, policy=POLICY, threshold=5,
        open_for=3600.0,
    ))  # fmt: skip
    ended = simulated.dead * POLICY.max_attempts
    begun = sum(range(1, POLICY.max_attempts))
    assert ended <= simulated.attempts <= ended + begun + POLICY.max_attempts
    receiver.answers |= {"/free": [500], "/broken": [500]}
    fixed = {"max_attempts": 4, "backoff": "fixed", "initial_delay": "1s"}
    async with running(Program(tmp_path, LOOPBACK)) as client:
        for name, breaker in (
            ("free", {"failure_threshold": 10000}),
            ("broken", {"failure_threshold": 5, "open_for": "1h"}),
        ):
            await client.webhook(
                id=name, url=f"{receiver.url}/{name}", events=[f"{name}.*"],
                retry_policy=fixed, circuit_breaker=breaker, concurrency=1,
            )  # fmt: skip
        sent = [event("free.a") for _ in range(simulated.dead)]
        await client.send([*sent, *(event("broken.a") for _ in range(EVENTS))])
        for each in sent:
            await client.until("free", each["id"], "dead_letter")
        assert len(receiver.requests_to("/free")) == ended
        async with asyncio.timeout(PATIENCE):
            while (await client.http.get("/v1/webhooks/broken/stats")).json()["queue_depth"] < (
                EVENTS
            ):
                await asyncio.sleep(0.05)
        assert len(receiver.requests_to("/broken")) == opened.attempts == 5


async def test_the_comparison_with_the_real_program_runs() -> None:
    """Its figures are not asserted: they depend on the machine."""
    case = Case(
        webhooks=2, rate=5.0, down=0.5, outage=2, after=2, policy=POLICY, threshold=3,
        open_for=1.0, capacity=20, throughput=1000,
    )  # fmt: skip
    curve = await counted(case, warm=0.0)
    assert len(curve.failed) == len(curve.succeeded) == 4
    assert curve.attempts == sum(curve.failed) >= case.threshold
    assert sum(curve.succeeded)
