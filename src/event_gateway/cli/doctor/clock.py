"""Compares this machine's clock with those of the gateway, NATS and Redis."""

from collections.abc import Iterator

from event_gateway.cli.doctor.finding import Area, ClockReading, Finding

NOTICEABLE = 2.0  # seconds
# Seconds beyond which receivers and the gateway refuse signatures and tokens as too old or too new:
# half of the five minutes that Standard Webhooks names.
HARMFUL = 150.0
_area = Area("clock")


def examine_clocks(readings: list[ClockReading]) -> Iterator[Finding]:
    """A line for each clock that was read."""
    if not readings:
        yield _area.skipped("no other clock to compare this machine's with could be read")
    for reading in sorted(readings, key=lambda reading: reading.clock):
        off = max(abs(reading.behind) - reading.uncertainty, 0.0)
        if off < NOTICEABLE:
            yield _area.ok(f"{reading.clock} and this machine agree within {NOTICEABLE:g} s")
            continue
        way = "behind" if reading.behind > 0 else "ahead of"
        make = _area.error if off >= HARMFUL else _area.warning
        yield make(
            f"the clock of {reading.clock} is {off:.0f} s {way} this machine's",
            "Have NTP or chrony set the clocks of both machines: retries, deadlines, signatures "
            "and tokens go by them.",
        )
