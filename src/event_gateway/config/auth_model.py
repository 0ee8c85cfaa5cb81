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
    """How often a client may present an invalid credential, for each address (an IPv6 network of 64
    bits), each key and process. Above it, the gateway answers with 429 until the rate has
    fallen."""

    limit: Annotated[int, Field(ge=1)] = Field(
        30, description="The number of failures allowed in each period."
    )
    period: Annotated[Duration, Field(ge=1)] = Field(60.0, description="The length of the period.")


class AuthModel(Section):
    """Who may call the API, in addition to the keys that the gateway has made."""

    mtls: Annotated[list[MtlsRuleModel], Field(max_length=MAX_RULES)] = Field(
        [],
        description="Rules for client certificates. The first rule that fits a certificate "
        "applies.",
    )
    jwt: Annotated[list[IssuerModel], Field(max_length=MAX_ISSUERS)] = Field(
        [], description="Issuers of JSON Web Tokens."
    )
    hmac: Annotated[dict[ClientId, HmacClientModel], Field(max_length=MAX_CLIENTS)] = Field(
        {}, description="Clients that sign their requests, by their id."
    )
    allow_networks: Networks = Field(
        [],
        description="The private networks (CIDR) in which issuers may be, also over plain HTTP, "
        "in addition to `delivery.allow_networks`.",
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
