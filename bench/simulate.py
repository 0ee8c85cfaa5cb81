"""Retries while receivers are down, and the surge when they are back, as curves.

``python -m bench.simulate`` prints a table and writes ``simulate.svg`` and ``simulate.json`` to
``--out``. The retries are those of the product's own :class:`RetryPolicy`; circuit breakers open,
probe and close by the rules of ``delivery/circuit_breaker.py``. Time goes by in steps of a second,
receivers are equal, and each that is down is down from the beginning to ``outage``.
``bench/surge.py`` compares it with the real program.
"""

import argparse
import heapq
import json
from dataclasses import dataclass, field
from pathlib import Path

from event_gateway.core.webhook.retry_policy import RetryPolicy

STEP = 1.0  # seconds
THROUGHPUT = 5440.0  # deliveries a second of a process that drains a backlog: docs/performance.md


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated. ``rate``: events a second for each webhook; ``down``: the part of the
    receivers that is down for ``outage`` seconds; ``threshold``, ``open_for``: the circuit
    breaker, 0 without one; ``capacity``: deliveries a second that one receiver takes;
    ``throughput``: deliveries a second of the whole gateway; ``failing``: attempts a second that it
    starts for failing receivers together."""

    webhooks: int = 1000
    rate: float = 1.0
    down: float = 0.01
    outage: float = 3600.0
    after: float = 1800.0
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    threshold: int = 5
    open_for: float = 30.0
    capacity: float = 100.0
    throughput: float = THROUGHPUT
    failing: float = 400.0


@dataclass(slots=True)
class Curve:
    """For each second: attempts that fail, deliveries that succeed, and deliveries that wait, all
    receivers together; ``dead``: dead letters in all, ``attempts``: of the receivers that are
    down."""

    failed: list[float] = field(default_factory=list)
    succeeded: list[float] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    dead: int = 0
    attempts: int = 0


def simulate(case: Case) -> Curve:
    """The curve of a case. One receiver that is down stands for all of them."""
    curve = Curve()
    count = round(case.webhooks * case.down)
    healthy = (case.webhooks - count) * case.rate
    share = case.failing / count if count and case.failing else float("inf")
    due: list[tuple[float, int, int]] = []  # when, number, attempts that have failed
    number, owed, allowed = 0, 0.0, 0.0
    room_of_all = max(case.throughput - healthy, case.rate * count) / count if count else 0.0
    pace, room = min(case.capacity, room_of_all) * STEP, 0.0
    row, opens_until = 0, -1.0
    now = 0.0
    while now < case.outage + case.after:
        owed += case.rate * STEP
        while owed >= 1:
            heapq.heappush(due, (now, number, 0))
            number, owed = number + 1, owed - 1
        is_down = now < case.outage
        failed = succeeded = 0
        allowed = min(allowed + share * STEP, max(share * STEP, 1.0)) if is_down else float("inf")
        room = min(room + pace, max(pace, 1.0))
        while due and due[0][0] <= now and room >= 1:
            if case.threshold and now < opens_until:
                break
            if is_down and allowed < 1:
                break
            _, which, before = heapq.heappop(due)
            room -= 1
            if not is_down:
                succeeded += 1
                row, opens_until = 0, -1.0
                continue
            allowed -= 1
            failed += 1
            row += 1
            if before + 1 >= case.policy.max_attempts:
                curve.dead += count
            else:
                at = now + case.policy.delay(before + 1)
                heapq.heappush(due, (at, which, before + 1))
            if case.threshold and row >= case.threshold:
                opens_until = now + case.open_for  # after the first time each probe opens it again
        curve.attempts += failed * count
        curve.failed.append(failed * count / STEP)
        curve.succeeded.append(succeeded * count / STEP + healthy)
        curve.waiting.append(len(due) * count)
        now += STEP
    return curve


def attempts_while_down(policy: RetryPolicy, seconds: float) -> int:
    """How many attempts an event gets, without a circuit breaker, from a receiver that goes down
    with its first attempt for so many seconds; the one that succeeds is among them."""
    at, attempts = 0.0, 0
    while attempts < policy.max_attempts:
        attempts += 1
        if at >= seconds:
            return attempts
        at += policy.delay(attempts)
    return attempts


def summary(case: Case, curve: Curve) -> dict[str, float]:
    """The figures of a table's row."""
    end = int(case.outage / STEP)
    usual = case.webhooks * case.rate
    surge = curve.succeeded[end:]
    over = [second for second, rate in enumerate(surge) if rate > usual * 1.001]
    return {
        "down": case.down,
        "failed_per_s_peak": max(curve.failed, default=0.0),
        "failed_per_s_mean": sum(curve.failed[:end]) / max(end, 1),
        "waiting_at_end": curve.waiting[end - 1],
        "dead_letters": curve.dead,
        "surge_per_s_peak": max(surge, default=0.0),
        "surge_seconds": (over[-1] + 1) * STEP if over else 0.0,
        "usual_per_s": usual,
    }


def drawn(cases: list[tuple[Case, Curve]], width: int = 720, height: int = 220) -> str:
    """The curves as an SVG picture: failed attempts, deliveries, and deliveries that wait."""
    colours = ("#2a6fbb", "#c7781d", "#b3261e")
    panels = (
        ("failed attempts a second", "failed"), ("deliveries a second", "succeeded"),
        ("deliveries that wait", "waiting"),
    )  # fmt: skip
    parts = []
    for index, (title, name) in enumerate(panels):
        top = index * (height + 30) + 20
        highest = max(max(getattr(curve, name)) for _, curve in cases) or 1
        parts.append(f'<text x="4" y="{top - 5}">{title}, up to {highest:,.0f}</text>')
        parts.append(
            f'<rect x="0" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>'
        )
        for (case, curve), colour in zip(cases, colours, strict=False):
            values = getattr(curve, name)
            pace = max(1, len(values) // width)
            points = " ".join(
                f"{at * width / len(values):.1f},{top + height * (1 - values[at] / highest):.1f}"
                for at in range(0, len(values), pace)
            )
            label = f"<title>{case.down:.0%} down</title>"
            parts.append(
                f'<polyline fill="none" stroke="{colour}" points="{points}">{label}</polyline>'
            )
    size = f'width="{width}" height="{len(panels) * (height + 30) + 10}"'
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(parts)}</svg>\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--webhooks", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1.0, help="events a second and webhook")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--attempts", type=int, default=3, help="max_attempts")
    parser.add_argument("--no-breaker", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("build/simulate"))
    arguments = parser.parse_args()
    cases = []
    for down in (0.01, 0.1, 0.5):
        case = Case(
            webhooks=arguments.webhooks, rate=arguments.rate, down=down,
            policy=RetryPolicy(max_attempts=arguments.attempts),
            threshold=0 if arguments.no_breaker else 5, failing=400.0 * arguments.processes,
            throughput=THROUGHPUT * arguments.processes,
        )  # fmt: skip
        cases.append((case, simulate(case)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [summary(case, curve) for case, curve in cases]
    (arguments.out / "simulate.json").write_text(json.dumps(rows, indent=1))
    (arguments.out / "simulate.svg").write_text(drawn(cases))
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(f"{value:,.6g}" for value in row.values()))


if __name__ == "__main__":
    main()
