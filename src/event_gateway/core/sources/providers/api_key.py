"""Any sender that shows a key: in a header, or in the query string."""

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.checks import check_shared
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.generic import EXAMPLE, TEMPLATES
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Provider


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    settings = definition.settings
    if settings.query:
        given = inbound.query.get(settings.query)
        check_shared(proof, given, f"the parameter {settings.query} of the query")
        return
    given = inbound.headers.get(settings.header.lower(), "")
    if settings.header.lower() == "authorization":
        given = given.partition(" ")[2] or given  # without its scheme, such as Bearer
    check_shared(proof, given, f"the header {settings.header}")


def _examine(definition: SourceDefinition) -> None:
    if bool(definition.settings.header) == bool(definition.settings.query):
        raise InvalidDefinition("header", "either it or query is required")


API_KEY = Provider(
    name="api_key",
    title="API key (generic)",
    check=_check,
    required=frozenset(("secret_name",)),
    optional=frozenset(("header", "query")),
    examine=_examine,
    templates=TEMPLATES,
    credentials=("authorization",),
    example=EXAMPLE,
)
