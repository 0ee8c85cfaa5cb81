"""GitLab: a signing token signs as Standard Webhooks, a secret token is sent as it is.

https://docs.gitlab.com/user/project/integrations/webhooks/
"""

from dataclasses import replace

from event_gateway.core.sources.checks import check_shared, secrets_of
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider
from event_gateway.core.sources.standard_signature import check_standard
from event_gateway.core.webhook.signing_keys import SHARED


def _check(inbound: Inbound, _definition: SourceDefinition, proof: Proof) -> None:
    # Each value by its form, not by what the request has: the sender cannot choose the weaker way.
    # In a rotation from a secret token to a signing token there are values of both forms.
    values = secrets_of(proof)
    signing = [value for value in values if value.startswith(SHARED)]
    tokens = [value for value in values if value not in signing]
    if signing and (not tokens or "webhook-signature" in inbound.headers):
        check_standard(inbound, replace(proof, secrets=signing))
    else:
        given = inbound.headers.get("x-gitlab-token")
        check_shared(replace(proof, secrets=tokens), given, "X-Gitlab-Token")


GITLAB = Provider(
    name="gitlab",
    title="GitLab",
    check=_check,
    required=frozenset(("secret_name",)),
    templates=Templates(
        type="gitlab.{body.object_kind|body.event_name|x-gitlab-event}",
        subject="{body.project.path_with_namespace|body.group.full_path|body.path_with_namespace}",
        id="{idempotency-key|webhook-id|digest}",
    ),
    timed=True,
    credentials=("x-gitlab-token",),
    example=Example(
        {"X-Gitlab-Event": "Push Hook", "Idempotency-Key": "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"},
        '{"object_kind":"push","project":{"path_with_namespace":"mike/diaspora"}}',
    ),
)
