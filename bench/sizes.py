"""The sizes of the benchmarks: large enough to measure, or only large enough to test them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """``seconds`` at an even rate for latencies; ``queued`` for one dead webhook; ``cases`` of
    deliver."""

    turns: int
    cases: tuple[str, ...]
    deliveries: int
    warm: int  # deliveries before the measurement
    seconds: float
    posts: int  # ingest: events posted one by one
    parts: int  # repetitions of each part
    failing_seconds: float
    queued: int
    matching: tuple[int, ...]  # numbers of registered webhooks
    webhooks: int  # footprint: webhooks registered to measure the memory of each
    subscribers: int
    rates: tuple[float, ...]  # lowrate: events a second


FULL = Sizes(
    turns=5, cases=(
        "gateway", "gateway, 2 processes", "lean", "gateway, fan-out 10", "lean, fan-out 10",
        "stock", "taskqueue",
    ), deliveries=20_000, warm=1_000, seconds=4.0, posts=10_000, parts=20_000,
    failing_seconds=10.0, queued=1_000_000, matching=(10, 1_000, 100_000), webhooks=100_000,
    subscribers=1_000, rates=(20, 100, 400),
)  # fmt: skip
# Each program and each fan-out once.
SHORT = Sizes(
    turns=1, cases=("lean", "gateway, fan-out 10", "stock", "taskqueue"), deliveries=600, warm=100,
    seconds=0.5, posts=200, parts=200, failing_seconds=1.0, queued=1_000,
    matching=(10, 100, 1_000), webhooks=300, subscribers=20, rates=(20, 100),
)  # fmt: skip
