"""Signatures of Standard Webhooks 1.0, also under the names of headers that Svix uses."""

from collections.abc import Sequence

from event_gateway.core.sources.checks import WRONG, check_time, secrets_of
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Refused
from event_gateway.core.webhook.signing_keys import Checker, checker, split_keys

MAX_SIGNATURES = 16  # of one request


def check_standard(inbound: Inbound, proof: Proof, public_key: str = "") -> None:
    """Raises Refused unless a key of the source has signed the request. ``public_key``: a key
    ``whpk_…`` in place of the source's secret."""
    prefix = "svix-" if "svix-signature" in inbound.headers else "webhook-"
    message_id, sent_at, given = (
        inbound.headers.get(prefix + name, "") for name in ("id", "timestamp", "signature")
    )
    if not (message_id and sent_at and given):
        raise Refused("signature", f"{prefix}id, {prefix}timestamp or {prefix}signature is missing")
    named = [part.partition(",") for part in given.split()[:MAX_SIGNATURES]]
    content = f"{message_id}.{sent_at}.".encode("utf-8", "replace") + inbound.body
    for made_by in _checkers([public_key] if public_key else secrets_of(proof)):
        signatures = [
            value.encode("utf-8", "replace") for version, _, value in named
            if version == made_by.version
        ]  # fmt: skip
        if signatures and made_by.has_made(content, signatures):
            check_time(inbound, proof, sent_at)
            return
    raise Refused("signature", WRONG)


def _checkers(secrets: Sequence[str]) -> list[Checker]:
    """What checks signatures, by each value that is a key: one that is none, and was replaced, must
    not stop the one in its place. Raises Refused if none is."""
    checkers, fault = [], ""
    try:
        keys = split_keys(tuple(secrets))
    except ValueError as error:
        raise Refused("unconfigured", f"the source's secret: {error}") from None
    for key in keys:
        try:
            checkers.append(checker(key))
        except ValueError as error:
            fault = str(error)
    if not checkers:
        raise Refused("unconfigured", f"the source's secret: {fault}")
    return checkers
