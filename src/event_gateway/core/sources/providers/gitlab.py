"""GitLab: a signing token signs as Standard Webhooks, a secret token is sent as it is.

https://docs.gitlab.com/user/project/integrations/webhooks/
"""

from event_gateway.core.sources.checks import check_shared, secrets_of
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider
from event_gateway.core.sources.standard_signature import check_standard
from event_gateway.core.webhook.signing_keys import SHARED


def _check(inbound: Inbound, _definition: SourceDefinition, proof: Proof) -> None:
    # By the form of the secret, not by what the request has: nobody can choose the weaker way.
    if all(value.startswith(SHARED) for value in secrets_of(proof)):
        check_standard(inbound, proof)
    else:
        check_shared(proof, inbound.headers.get("x-gitlab-token"), "X-Gitlab-Token")


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
