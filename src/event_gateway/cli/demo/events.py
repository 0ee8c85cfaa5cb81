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


class Made(msgspec.Struct):
    """An event and where it must arrive: the webhooks and the stream of the configuration.

    ``over``: ``nats`` or ``http``.
    """

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


def made_up(seed: int = 7) -> Iterator[Made]:
    """Stories without end: a change of schema leads to a commit, that to a job, all audited."""
    chance = random.Random(seed)
    numbers = itertools.count(1)
    while True:
        story = [_login, _schema, _commit, _audit, _job]
        cause: str | None = None
        for make in story:
            one = make(chance, next(numbers))
            one.over = "nats" if chance.random() < 0.6 else "http"
            if cause is not None:
                one.event["causationid"] = cause
            cause = one.id
            yield one


def _made(
    event_type: str, source: str, subject: str, data: dict[str, Any],
    webhooks: tuple[str, ...], stream: str | None,
) -> Made:  # fmt: skip
    event = {
        "specversion": "1.0", "id": secrets.token_hex(8), "source": source, "type": event_type,
        "subject": subject, "time": rfc3339(time.time()), "datacontenttype": "application/json",
        "data": data,
    }  # fmt: skip
    return Made(event, "nats", webhooks, stream)


def _login(chance: random.Random, number: int) -> Made:
    user = chance.choice(PEOPLE)
    data = {"user_id": user, "method": "oidc", "ip": f"198.51.100.{number % 250 + 1}"}
    return _made("user.authenticated", "user-service", f"user/{user}", data,
                 ("security_siem",), None)  # fmt: skip


def _schema(chance: random.Random, number: int) -> Made:
    namespace = NAMESPACES[number // 5 % len(NAMESPACES)]
    name = chance.choice(ENTITIES)
    data = {
        "schema_id": f"sch-{number}", "name": name, "version": f"1.{number}.0",
        "namespace": namespace, "created_by": chance.choice(PEOPLE),
        "metadata": {"properties": chance.randint(4, 30)},
    }  # fmt: skip
    return _made("ontology.schema.created", "ontology-management-service", f"schema/{name}", data,
                 ("external_crm",) if namespace == "customer" else (),
                 "real_time_schema_changes")  # fmt: skip


def _commit(chance: random.Random, number: int) -> Made:
    database = f"{chance.choice(ENTITIES).lower()}s"
    data = {
        "commit_id": secrets.token_hex(4), "database_id": database, "branch": "main",
        "author": chance.choice(PEOPLE), "message": f"apply schema change {number}",
        "changes": {"insertions": chance.randint(1, 400), "deletions": chance.randint(0, 40),
                    "document_changes": chance.randint(1, 440)},
    }  # fmt: skip
    return _made("terminus.commit.created", "terminus", f"database/{database}", data,
                 ("analytics_platform",), "data_processing_events")  # fmt: skip


def _audit(chance: random.Random, number: int) -> Made:
    actor = chance.choice(PEOPLE)
    data = {"actor": actor, "action": "schema.create", "resource": f"sch-{number}",
            "outcome": chance.choice(("success", "success", "denied"))}  # fmt: skip
    return _made("audit.events.access", "audit-service", f"user/{actor}", data,
                 ("security_siem",), "audit_stream")  # fmt: skip


def _job(chance: random.Random, number: int) -> Made:
    data = {"job_id": f"job-{number}", "name": "reindex", "status": "completed",
            "duration_ms": chance.randint(200, 9000)}  # fmt: skip
    return _made("scheduler.job.completed", "scheduler", f"job/{number}", data,
                 (), "data_processing_events")  # fmt: skip
