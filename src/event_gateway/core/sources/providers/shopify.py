"""Shopify: ``X-Shopify-Hmac-SHA256`` is an HMAC of the body in base64. Shopify's newer events have
the same headers without ``X-``.

https://shopify.dev/docs/apps/build/webhooks/subscribe/https
"""

from event_gateway.core.sources.checks import check_hmac, header
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider


def _check(inbound: Inbound, _definition: SourceDefinition, proof: Proof) -> None:
    newer = "shopify-hmac-sha256"
    given = header(inbound, newer if newer in inbound.headers else f"x-{newer}")
    check_hmac(proof, inbound.body, [given], encoding="base64")


SHOPIFY = Provider(
    name="shopify",
    title="Shopify",
    check=_check,
    required=frozenset(("secret_name",)),
    templates=Templates(
        type="shopify.{x-shopify-topic|shopify-topic}",
        subject="{x-shopify-shop-domain|shopify-shop-domain}",
        id="{x-shopify-webhook-id|shopify-webhook-id}",
        time="{x-shopify-triggered-at|shopify-triggered-at}",
    ),
    example=Example(
        {
            "X-Shopify-Topic": "orders/create",
            "X-Shopify-Shop-Domain": "example.myshopify.com",
            "X-Shopify-Webhook-Id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
            "X-Shopify-Triggered-At": "2026-05-04T03:02:01.123Z",
        },
        '{"id":820982911946154508,"total_price":"403.00"}',
    ),
)
