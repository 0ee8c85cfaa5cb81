"""The example that ``event-gateway trigger`` sends."""

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any

LOOKED_AT = 50  # events of the demo, which has ten types


@dataclass(frozen=True, slots=True)
class ExampleEvent:
    """``data`` is JSON text; ``origin`` says where it is from."""

    origin: str
    data: str
    subject: str | None = None
    source: str | None = None


def example_of(event_type: str, in_catalog: dict[str, Any] | None) -> ExampleEvent:
    """An example of a type: that in the catalog (``in_catalog``: its entry, None without one), else
    that of the demo's events, else one without data."""
    for data in (in_catalog or {}).get("examples") or ():
        return ExampleEvent("the catalog's example", json.dumps(data))
    from event_gateway.cli.demo.events import demo_events

    for made in islice(demo_events(), LOOKED_AT):
        if made.type == event_type:
            event = made.event
            return ExampleEvent(
                "no example in the catalog, the demo's", json.dumps(event["data"]),
                event["subject"], event["source"],
            )  # fmt: skip
    return ExampleEvent("no example in the catalog, sent without data", "{}")
