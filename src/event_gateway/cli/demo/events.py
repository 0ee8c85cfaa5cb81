"""Made-up events of a data platform, as its services would publish them."""

import itertools
import random
import secrets
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from event_gateway.core.text.times import rfc3339

PEOPLE = ("m.okafor", "j.lindqvist", "a.moreau", "t.nakamura", "r.silva")
NAMESPACES = ("customer", "customer", "internal")
ENTITIES = ("Customer", "Order", "Invoice", "Shipment", "Contract")


class DemoEvent(msgspec.Struct):
    """An event, with the webhooks and the stream that it must reach. ``over``: how it is published,
    ``nats`` or ``http``."""

    event: dict[str, Any]
    over: str
    webhooks: tuple[str, ...]
    stream: str | None

    @property
    def id(self) -> str:
        """The event's id."""
        return str(self.event["id"])

    @property
    def type(self) -> str:
        """The event's type."""
        return str(self.event["type"])


def demo_events(seed: int = 7) -> Iterator[DemoEvent]:
    """Events without end: a login, a change of schema, its commit, the audit of it, a job; each
    caused by the one before."""
    chance = random.Random(seed)
    numbers = itertools.count(1)
    while True:
        story = [_login, _schema, _commit, _audit, _job]
        cause: str | None = None
        for make in story:
            demo_event = make(chance, next(numbers))
            demo_event.over = "nats" if chance.random() < 0.6 else "http"
            if cause is not None:
                demo_event.event["causationid"] = cause
            cause = demo_event.id
            yield demo_event


def _event(
    event_type: str, source: str, subject: str, data: dict[str, Any],
    webhooks: tuple[str, ...], stream: str | None,
) -> DemoEvent:  # fmt: skip
    event = {
        "specversion": "1.0", "id": secrets.token_hex(8), "source": source, "type": event_type,
        "subject": subject, "time": rfc3339(time.time()), "datacontenttype": "application/json",
        "data": data,
    }  # fmt: skip
    return DemoEvent(event, "nats", webhooks, stream)


def _login(chance: random.Random, number: int) -> DemoEvent:
    user = chance.choice(PEOPLE)
    data = {"user_id": user, "method": "oidc", "ip": f"198.51.100.{number % 250 + 1}"}
    return _event("user.authenticated", "user-service", f"user/{user}", data,
                 ("security_siem",), None)  # fmt: skip


def _schema(chance: random.Random, number: int) -> DemoEvent:
    namespace = NAMESPACES[number // 5 % len(NAMESPACES)]
    name = chance.choice(ENTITIES)
    data = {
        "schema_id": f"sch-{number}", "name": name, "version": f"1.{number}.0",
        "namespace": namespace, "created_by": chance.choice(PEOPLE),
        "metadata": {"properties": chance.randint(4, 30)},
    }  # fmt: skip
    return _event("ontology.schema.created", "ontology-management-service", f"schema/{name}", data,
                 ("external_crm",) if namespace == "customer" else (),
                 "real_time_schema_changes")  # fmt: skip


def _commit(chance: random.Random, number: int) -> DemoEvent:
    database = f"{chance.choice(ENTITIES).lower()}s"
    data = {
        "commit_id": secrets.token_hex(4), "database_id": database, "branch": "main",
        "author": chance.choice(PEOPLE), "message": f"apply schema change {number}",
        "changes": {"insertions": chance.randint(1, 400), "deletions": chance.randint(0, 40),
                    "document_changes": chance.randint(1, 440)},
    }  # fmt: skip
    return _event("terminus.commit.created", "terminus", f"database/{database}", data,
                 ("analytics_platform",), "data_processing_events")  # fmt: skip


def _audit(chance: random.Random, number: int) -> DemoEvent:
    actor = chance.choice(PEOPLE)
    data = {"actor": actor, "action": "schema.create", "resource": f"sch-{number}",
            "outcome": chance.choice(("success", "success", "denied"))}  # fmt: skip
    return _event("audit.events.access", "audit-service", f"user/{actor}", data,
                 ("security_siem",), "audit_stream")  # fmt: skip


def _job(chance: random.Random, number: int) -> DemoEvent:
    data = {"job_id": f"job-{number}", "name": "reindex", "status": "completed",
            "duration_ms": chance.randint(200, 9000)}  # fmt: skip
    return _event("scheduler.job.completed", "scheduler", f"job/{number}", data,
                 (), "data_processing_events")  # fmt: skip
