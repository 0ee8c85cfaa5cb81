"""The model of ``auth``: the ways in which callers prove who they are."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from event_gateway.config.access_values import check_caller_name
from event_gateway.config.hmac_model import HmacClientModel
from event_gateway.config.jwt_model import IssuerModel
from event_gateway.config.mtls_model import MtlsRuleModel
from event_gateway.config.values import Duration, Networks, Section

MAX_RULES = 1000
MAX_ISSUERS = 16
MAX_CLIENTS = 1000


def _client_id(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value) is None:
        raise ValueError("an id has 1 to 64 letters, digits, _ and -")
    return check_caller_name(value)


ClientId = Annotated[str, AfterValidator(_client_id)]


class FailedLoginsModel(Section):
    """How often a client may show a credential that is not valid, for each address (an IPv6 network
    of 64 bits), each key and process; then it is answered with 429 for a moment."""

    limit: Annotated[int, Field(ge=1)] = Field(30, description="Failures within period.")
    period: Annotated[Duration, Field(ge=1)] = Field(60.0, description="At least 1s.")


class AuthModel(Section):
    """Who may call, beside the keys of the gateway."""

    mtls: Annotated[list[MtlsRuleModel], Field(max_length=MAX_RULES)] = Field(
        [], description="Whose client certificates are; the first rule that fits counts."
    )
    jwt: Annotated[list[IssuerModel], Field(max_length=MAX_ISSUERS)] = Field(
        [], description="Issuers of JSON Web Tokens; at most 16."
    )
    hmac: Annotated[dict[ClientId, HmacClientModel], Field(max_length=MAX_CLIENTS)] = Field(
        {}, description="Clients that sign their requests, by the id that they send."
    )
    allow_networks: Networks = Field(
        [],
        description="Private networks (CIDR) that issuers may be in, also with plain http, beside "
        "those of delivery.allow_networks.",
    )

    failed_logins: FailedLoginsModel = FailedLoginsModel()

    @field_validator("jwt")
    @classmethod
    def _different(cls, value: list[IssuerModel]) -> list[IssuerModel]:
        names = [model.issuer for model in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the issuer {name} is there twice")
        return value
