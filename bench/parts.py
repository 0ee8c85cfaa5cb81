"""parts: the cost of each step of a delivery, and of the check of a caller, without a broker, a
store or a network.

    python -m bench.parts REPETITIONS

prints the CPU microseconds of each, for an event of 1 KB: {"parse": …, …}. What a step caches with
the event (its decoded data, its bodies) is removed before each repetition.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from bench import deliver
from bench.door import known_key, known_token
from bench.figures import Figures
from bench.load import event
from bench.programs import SECRET, STREAM
from bench.receiver import Receiver
from bench.sizes import Sizes
from event_gateway.cesql import parse as cesql
from event_gateway.core.cloudevents.enrichment import splice
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.compliance.chain import StoredMessage, digest
from event_gateway.core.compliance.export import MessageLine, decode_line, message_line
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.auth.hmac_signature import hmac_signature
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.embedded.process import killed_with_parent
from event_gateway.observability.metrics import Metrics
from event_gateway.request.access_tokens import AccessTokens
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.transformations import Transformations
from event_gateway.routing.index import Index
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.named import Secrets
from event_gateway.transport.client import HttpClient
from event_gateway.transport.egress_guard import EgressGuard

FAN_OUT = 10
INDEXES = (10, 10_000)  # webhooks; two of them match the event in each case
SIGNED = Security("hmac_signature", secret_name="key")


def parse(body: bytes) -> Received:
    """Decodes the event in a message of the log."""
    return from_message(None, body, subject="bench.t0", stream=STREAM, seq=1, time=time.time())


def enrichment() -> bytes:
    """The enrichment of an event without causes and related events."""
    return (
        b'{"processed_at":"%b","gateway_version":"1.0.0","correlation_chain":[],'
        b'"related_events":[]}' % rfc3339(time.time()).encode()
    )


def index(webhooks: int) -> Index:
    """An index of webhooks: half match a type of their own, the others a namespace of their own."""
    webhook_index = Index()
    for number in range(webhooks):
        of_type = number % 2 == 0
        webhook_index.put(
            Webhook(
                f"w{number}", "http://127.0.0.1/",
                (f"bench.t{number}",) if of_type else ("bench.*",),
                namespaces=() if of_type else (f"n{number}",), security=(SIGNED,),
            )
        )  # fmt: skip
    return webhook_index


def matching(received: Received, webhooks: int) -> Callable[[], object]:
    """Finds the matching webhooks among so many."""
    known = index(webhooks)
    assert len(known.match(received)) == 2

    def match() -> None:
        received.content = None
        known.match(received)

    return match


def building(received: Received, enriched: Event) -> Callable[[], object]:
    """Builds the signed requests of an event for ten webhooks, which share a body."""
    secrets = Secrets(ExternalSecrets({"KEY": SECRET}, "", Path("none")))
    common = RequestBuilders(
        secrets=secrets, tokens=AccessTokens(HttpClient(EgressGuard())), key=b"installation",
        version="1.0.0", transformations=Transformations(on_fallback=print),
    )  # fmt: skip
    builders = [
        common.for_webhook(
            Webhook(f"w{number}", "http://127.0.0.1/", ("bench.*",), security=(SIGNED,))
        )
        for number in range(FAN_OUT)
    ]
    received = replace(received, enriched=enriched)

    def build() -> None:
        received.bodies = {}
        for builder in builders:
            builder.build(received, 1)

    return build


def signing(body: bytes) -> Callable[[], object]:
    """Computes the header of a signature over 1 KB."""
    authenticate = hmac_signature(SIGNED, (SECRET,), AccessTokens(HttpClient(EgressGuard())))
    message_id, timestamp = b"msg_" + b"0" * 32, b"%d" % time.time()
    return lambda: authenticate(message_id, timestamp, body)


def counting() -> Callable[[], object]:
    """Counts a successful delivery of an event with a trace."""
    webhook = Metrics().webhook("w0")
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    now = time.time()

    def count() -> None:
        webhook.delivered(0.0123, 0.0456, now, trace)

    return count


def evaluating(text: str) -> Callable[[], object]:
    """Evaluates an expression in CESQL for an event with twelve attributes."""
    attributes = {
        "specversion": "1.0", "id": "1", "source": "/orders/eu", "type": "com.example.order.paid",
        "subject": "orders/1", "time": "2026-11-29T10:00:00Z",
        "datacontenttype": "application/json",
        "priority": "5", "hop": 3, "ttl": 5, "urgent": True, "partitionkey": "k",
    }  # fmt: skip
    expression = cesql(text)
    assert expression.matches(attributes)
    return lambda: expression.evaluate(attributes)


# By name, expressions in CESQL that are true for the event.
EXPRESSIONS = {
    "one equality": "type = 'com.example.order.paid'",
    "usual": "source = '/orders/eu' AND type LIKE '%.paid' AND priority > 3",
    "ten conditions": (
        "source = '/orders/eu' AND type LIKE 'com.%.order.%' AND priority > 3 AND hop < ttl AND "
        "EXISTS subject AND subject IN ('orders/1', 'orders/2') AND urgent AND "
        "NOT (priority = 9) AND LENGTH(id) + 1 = 2 AND UPPER(partitionkey) = 'K'"
    ),
}


def proving() -> dict[str, Callable[[], object]]:
    """What a message of a compliance stream costs, beside reading it from NATS: its digest, its
    line in an export, and the check of that."""
    headers = b"NATS/1.0\r\nNats-Msg-Id: 4711\r\n\r\n"
    message = StoredMessage(1, time.time_ns(), b"bench.t0", headers, event(1, "bench.t0"))
    line = message_line(message)

    def check() -> None:
        read = decode_line(line)
        assert isinstance(read, MessageLine)
        digest(read.message())

    return {
        "chain: digest of a message": lambda: digest(message),
        "export: line of a message": lambda: message_line(message),
        "verify: line of a message": check,
    }


def parts() -> dict[str, Callable[[], object]]:
    """The steps, in the order in which an event passes through them."""
    body = event(1, "bench.t0")
    received = parse(body)
    added = enrichment()
    data = splice(received.event.data, added)
    assert data is not None
    enriched = replace(received.event, data=data)
    return {
        "parse": lambda: parse(body),
        "enrich: splice": lambda: splice(received.event.data, added),
        **{f"match, {count} webhooks": matching(received, count) for count in INDEXES},
        "to_structured": lambda: to_structured(enriched),
        "sign": signing(body),
        f"requests of one event for {FAN_OUT}": building(received, enriched),
        "metrics of a delivery": counting(),
        **{f"CESQL, {name}": evaluating(text) for name, text in EXPRESSIONS.items()},
        "CESQL, parse the usual": lambda: cesql(EXPRESSIONS["usual"]),
        **proving(),
        "door: a known key": known_key(),
        "door: a known key with a limit": known_key(1_000_000_000),
        "door: a known token": known_token(),
    }


def measured(once: Callable[[], object], repetitions: int) -> float:
    """CPU microseconds of one call."""
    for _ in range(repetitions // 10):
        once()
    began = time.process_time_ns()
    for _ in range(repetitions):
        once()
    return (time.process_time_ns() - began) / repetitions / 1000


async def run(figures: Figures, receiver: Receiver, sizes: Sizes) -> None:
    """One turn, in a separate process."""
    base = await deliver.floor(receiver, sizes.deliveries)
    figures.add("parts", "floor: CPU", "us", base["cpu_us"])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.parts",
        str(sizes.parts),
        stdout=subprocess.PIPE,
        preexec_fn=killed_with_parent,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the parts could not be measured")
    for name, each in json.loads(out).items():
        figures.add("parts", f"{name}: CPU", "us", each, base["cpu_us"])


if __name__ == "__main__":
    count = int(sys.argv[1])
    print(json.dumps({name: measured(once, count) for name, once in parts().items()}))
