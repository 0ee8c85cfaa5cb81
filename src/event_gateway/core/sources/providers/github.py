"""GitHub: ``X-Hub-Signature-256`` is an HMAC of the body.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from event_gateway.core.sources.checks import check_hmac, header
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider


def _check(inbound: Inbound, _definition: SourceDefinition, proof: Proof) -> None:
    given = header(inbound, "x-hub-signature-256")
    check_hmac(proof, inbound.body, [given.removeprefix("sha256=")])


GITHUB = Provider(
    name="github",
    title="GitHub",
    check=_check,
    required=frozenset(("secret_name",)),
    templates=Templates(
        type="github.{x-github-event}",
        subject="{body.repository.full_name|body.organization.login}",
        id="{x-github-delivery}",
    ),
    example=Example(
        {"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
        '{"ref":"refs/heads/main","repository":{"full_name":"octocat/hello-world"}}',
    ),
)
