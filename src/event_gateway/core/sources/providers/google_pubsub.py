"""Google Cloud Pub/Sub push subscriptions, authenticated by a token of a service account.

https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
"""

from event_gateway.core.sources.bearer import check_bearer, check_urls
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider

ISSUER = "https://accounts.google.com"
KEYS = "https://www.googleapis.com/oauth2/v3/certs"


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    check_bearer(inbound, definition, proof, issuer=ISSUER, jwks_url=KEYS)


GOOGLE_PUBSUB = Provider(
    name="google_pubsub",
    title="Google Cloud Pub/Sub",
    check=_check,
    # Every account at Google gets tokens for any audience: only the account tells whose they are.
    required=frozenset(("audience", "email")),
    optional=frozenset(("issuer", "jwks_url")),
    examine=check_urls,
    templates=Templates(
        type="google.pubsub.message",
        subject="{body.subscription}",
        id="{body.message.messageId|body.message.message_id}",
        time="{body.message.publishTime|body.message.publish_time}",
    ),
    credentials=("authorization",),
    example=Example(
        {},
        '{"message":{"data":"SGVsbG8=","messageId":"2070443601311540",'
        '"publishTime":"2026-05-04T03:02:01.123Z"},"subscription":"projects/p/subscriptions/s"}',
    ),
)
