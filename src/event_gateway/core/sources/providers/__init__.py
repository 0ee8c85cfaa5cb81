"""The providers by name. A new one is a module here and a line in :data:`PROVIDERS`."""

from event_gateway.core.sources.provider import Provider
from event_gateway.core.sources.providers.api_key import API_KEY
from event_gateway.core.sources.providers.aws_sns import AWS_SNS
from event_gateway.core.sources.providers.azure_event_grid import AZURE_EVENT_GRID
from event_gateway.core.sources.providers.basic import BASIC
from event_gateway.core.sources.providers.cloudevents import CLOUDEVENTS
from event_gateway.core.sources.providers.github import GITHUB
from event_gateway.core.sources.providers.gitlab import GITLAB
from event_gateway.core.sources.providers.google_pubsub import GOOGLE_PUBSUB
from event_gateway.core.sources.providers.hmac import HMAC
from event_gateway.core.sources.providers.jwt import JWT
from event_gateway.core.sources.providers.linear import LINEAR
from event_gateway.core.sources.providers.mtls import MTLS
from event_gateway.core.sources.providers.paddle import PADDLE
from event_gateway.core.sources.providers.sendgrid import SENDGRID
from event_gateway.core.sources.providers.shopify import SHOPIFY
from event_gateway.core.sources.providers.slack import SLACK
from event_gateway.core.sources.providers.standard_webhooks import STANDARD_WEBHOOKS
from event_gateway.core.sources.providers.stripe import STRIPE
from event_gateway.core.sources.providers.twilio import TWILIO

PROVIDERS: dict[str, Provider] = {
    provider.name: provider
    for provider in (
        GITHUB, GITLAB, STRIPE, SLACK, SHOPIFY, TWILIO, SENDGRID, PADDLE, LINEAR, AWS_SNS,
        AZURE_EVENT_GRID, GOOGLE_PUBSUB, CLOUDEVENTS, STANDARD_WEBHOOKS, HMAC, API_KEY, BASIC, MTLS,
        JWT,
    )
}  # fmt: skip
