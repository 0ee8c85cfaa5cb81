"""Paddle Billing: ``Paddle-Signature`` has the time and HMACs of time and body.

https://developer.paddle.com/webhooks/signature-verification
"""

from event_gateway.core.sources.checks import check_hmac, check_time, header, pairs
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider


def _check(inbound: Inbound, _definition: SourceDefinition, proof: Proof) -> None:
    parts = pairs(header(inbound, "paddle-signature"), ";")
    sent_at = dict(parts).get("ts", "")
    signatures = [value for name, value in parts if name == "h1"]
    check_hmac(proof, f"{sent_at}:".encode() + inbound.body, signatures)
    check_time(inbound, proof, sent_at)


PADDLE = Provider(
    name="paddle",
    title="Paddle",
    check=_check,
    required=frozenset(("secret_name",)),
    templates=Templates(
        type="paddle.{body.event_type}",
        subject="{body.data.id}",
        id="{body.event_id}",
        time="{body.occurred_at}",
    ),
    timed=True,
    example=Example(
        {},
        '{"event_id":"evt_01","event_type":"transaction.completed",'
        '"occurred_at":"2026-05-04T03:02:01.123Z","data":{"id":"txn_01"}}',
    ),
)
