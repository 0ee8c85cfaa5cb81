"""What the addresses of a webhook's hosts tell about its deliveries, when it is registered."""

import asyncio
from collections.abc import Iterator

from event_gateway.core.errors import DefinitionWarning
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.transport.client import JudgedAddresses, Target, parse_target

TIMEOUT = 1.0  # seconds for the look-up of a name; after that nothing is said about it
MAX_NAMED = 8  # addresses in a warning


async def address_warnings(receivers: ReceiverClient, webhook: Webhook) -> list[DefinitionWarning]:
    """The hosts that have no address now, and those of which the egress guard refuses one."""
    urls = {"url": webhook.url} | {
        f"security[{position}].token_url": method.token_url
        for position, method in enumerate(webhook.security)
        if method.token_url
    }
    targets: dict[str, Target] = {}
    for key, url in urls.items():
        try:
            targets[key] = parse_target(url)
        except ValueError:  # registered before it was refused
            continue
    judged = await asyncio.gather(
        *(receivers.judge_addresses(target, TIMEOUT) for target in targets.values())
    )
    return [
        warning
        for (key, target), addresses in zip(targets.items(), judged, strict=True)
        for warning in _warnings(key, target, addresses)
    ]


def _warnings(key: str, target: Target, judged: JudgedAddresses) -> Iterator[DefinitionWarning]:
    if judged.unresolved is not None:
        yield DefinitionWarning(
            "host_not_found",
            key,
            f"{judged.unresolved}: attempts fail with NameResolution until the name has an address",
        )
    if not judged.refused:
        return
    refused = "; ".join(list(judged.refused.values())[:MAX_NAMED])
    if judged.allowed:
        allowed = ", ".join(judged.allowed[:MAX_NAMED])
        then = f"these addresses are not tried, requests go to {allowed}"
    else:
        then = "no other address is known, so requests fail with EgressRefused"
    yield DefinitionWarning("addresses_refused", key, f"{target.host}: {refused}; {then}")
