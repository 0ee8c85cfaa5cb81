"""What was promised and what has happened: the demo's only source of figures.

Receivers give their own counts, the ledger the states of deliveries, subscribers what they got;
none of it comes from the publisher's or the router's word.
"""

from collections import Counter, deque

from event_gateway.cli.demo.events import Made
from event_gateway.cli.demo.receivers import HEALTH, Receivers

FINAL = frozenset(("succeeded", "dead_letter", "cancelled"))
# What must become of every delivery, by the health of its receiver.
PROMISED = {"healthy": "succeeded", "flaky": "succeeded", "dead": "dead_letter"}
RECENT = 12


class Tally:
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

    def sent(self, made: Made) -> None:
        """An event was published, and with it comes a promise."""
        self.published[made.type.partition(".")[0]] += 1
        self.over[made.over] += 1
        for webhook in made.webhooks:
            self.states[webhook, made.id] = ("unknown", 0)
        if made.stream:
            self.expected[made.stream].append(made.id)

    def open_deliveries(self) -> list[tuple[str, str]]:
        """Deliveries that are not known to be final."""
        return [key for key, (status, _) in self.states.items() if status not in FINAL]

    def settled(self) -> bool:
        """Whether there is nothing more to wait for."""
        streams = all(len(self.streamed[name]) >= len(ids) for name, ids in self.expected.items())
        return streams and not self.open_deliveries()

    def statuses(self, webhook: str) -> Counter[str]:
        """How many deliveries of a webhook are in which status."""
        return Counter(status for (name, _), (status, _) in self.states.items() if name == webhook)

    def retries(self, webhook: str) -> int:
        """Attempts beyond the first."""
        return sum(max(0, n - 1) for (name, _), (_, n) in self.states.items() if name == webhook)

    def broken(self) -> list[str]:
        """The promises that were not kept, a line each."""
        out = list(self.trouble)
        for webhook, health in HEALTH.items():
            wanted = PROMISED[health]
            events = {event for name, event in self.states if name == webhook}
            other = self.statuses(webhook).copy()
            kept = other.pop(wanted, 0)
            if kept != len(events):
                found = ", ".join(f"{count} {status}" for status, count in sorted(other.items()))
                out.append(f"{webhook}: {kept} of {len(events)} are {wanted}; the rest: {found}")
            taken = len(self.receivers.messages[webhook])
            if taken != (len(events) if wanted == "succeeded" else 0):
                out.append(f"{webhook}: its receiver took {taken} of {len(events)} events")
            letters = sum(1 for name, _ in self.dead_letters if name == webhook)
            if letters != (len(events) if wanted == "dead_letter" else 0):
                out.append(f"{webhook}: {letters} dead letters for {len(events)} events")
        for name, ids in self.expected.items():
            missing = len(set(ids) - set(self.streamed[name]))
            if missing:
                out.append(f"stream {name}: {missing} of {len(ids)} events never came")
            if len(self.streamed[name]) > len(ids):
                out.append(f"stream {name}: events came twice")
        return out
