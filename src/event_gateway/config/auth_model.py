"""The model of ``auth``: the ways in which callers prove who they are."""

from typing import Annotated

from pydantic import Field

from event_gateway.config.mtls_model import MtlsRuleModel
from event_gateway.config.values import Section

MAX_RULES = 1000


class AuthModel(Section):
    """Who may call, beside the keys of the gateway."""

    mtls: Annotated[list[MtlsRuleModel], Field(max_length=MAX_RULES)] = Field(
        [], description="Whose client certificates are; the first rule that fits counts."
    )
