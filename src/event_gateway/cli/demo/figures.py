"""What must happen and what has happened: the only source of the demo's figures.

They come from the receivers' own counts, the delivery records and the live subscriber, never from
the publisher or the router.
"""

from collections import Counter, deque

from event_gateway.cli.demo.events import DemoEvent
from event_gateway.cli.demo.receivers import HEALTH, Receivers

FINAL = frozenset(("succeeded", "dead_letter", "cancelled"))
# The final status of every delivery, by the health of its receiver.
PROMISED = {"healthy": "succeeded", "flaky": "succeeded", "dead": "dead_letter"}
RECENT = 12


class DemoFigures:
    """Figures of one demo. ``states``: by (webhook, event id), status and number of attempts."""

    def __init__(self, receivers: Receivers, streams: tuple[str, ...]) -> None:
        self.receivers = receivers
        self.published: Counter[str] = Counter()
        self.over: Counter[str] = Counter()
        self.states: dict[tuple[str, str], tuple[str, int]] = {}
        self.expected: dict[str, list[str]] = {name: [] for name in streams}
        self.streamed: dict[str, list[str]] = {name: [] for name in streams}
        self.dead_letters: set[tuple[str, str]] = set()
        self.recent: deque[str] = deque(maxlen=RECENT)
        self.trouble: list[str] = []

    def add(self, demo_event: DemoEvent) -> None:
        """Counts a published event, and notes which webhooks and stream it must reach."""
        self.published[demo_event.type.partition(".")[0]] += 1
        self.over[demo_event.over] += 1
        for webhook in demo_event.webhooks:
            self.states[webhook, demo_event.id] = ("unknown", 0)
        if demo_event.stream:
            self.expected[demo_event.stream].append(demo_event.id)

    def open_deliveries(self) -> list[tuple[str, str]]:
        """Deliveries whose status is not known to be final, by webhook and event id."""
        return [key for key, (status, _) in self.states.items() if status not in FINAL]

    def settled(self) -> bool:
        """Whether all deliveries are final and the subscriber has received all events."""
        streams = all(len(self.streamed[name]) >= len(ids) for name, ids in self.expected.items())
        return streams and not self.open_deliveries()

    def statuses(self, webhook: str) -> Counter[str]:
        """A webhook's deliveries counted by status."""
        return Counter(status for (name, _), (status, _) in self.states.items() if name == webhook)

    def retries(self, webhook: str) -> int:
        """A webhook's attempts beyond the first of each delivery."""
        return sum(max(0, n - 1) for (name, _), (_, n) in self.states.items() if name == webhook)

    def broken(self) -> list[str]:
        """A line for each promise that was not kept."""
        lines = list(self.trouble)
        for webhook, health in HEALTH.items():
            promised = PROMISED[health]
            events = {event for name, event in self.states if name == webhook}
            other = self.statuses(webhook).copy()
            reached = other.pop(promised, 0)
            if reached != len(events):
                rest = ", ".join(f"{count} {status}" for status, count in sorted(other.items()))
                lines.append(
                    f"{webhook}: {reached} of {len(events)} are {promised}; the rest: {rest}"
                )
            taken = len(self.receivers.messages[webhook])
            if taken != (len(events) if promised == "succeeded" else 0):
                lines.append(f"{webhook}: its receiver took {taken} of {len(events)} events")
            dead_letters = sum(1 for name, _ in self.dead_letters if name == webhook)
            if dead_letters != (len(events) if promised == "dead_letter" else 0):
                lines.append(f"{webhook}: {dead_letters} dead letters for {len(events)} events")
        for name, ids in self.expected.items():
            missing = len(set(ids) - set(self.streamed[name]))
            if missing:
                lines.append(f"stream {name}: {missing} of {len(ids)} events were not received")
            if len(self.streamed[name]) > len(ids):
                lines.append(f"stream {name}: events were received twice")
        return lines
