"""Checks the section ``auth`` of a configuration: what callers prove themselves with."""

from collections.abc import Iterator

from event_gateway.api.access.key_sources import file_keys, keys_url, secret_keys
from event_gateway.config.jwt_model import IssuerModel
from event_gateway.config.model import Config
from event_gateway.core.access.verification_keys import UnusableKeys
from event_gateway.core.webhook.signing_keys import signers
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.transport.egress_guard import EgressGuard, configure_for_issuers

# Claims whose values are meant as scopes. Those of others, such as roles, have names of their own.
_SCOPE_CLAIMS = ("scope", "scp", "permissions")
NOT_SEALED = "is missing; unless it is in the sealed store,"


def unusable_callers(config: Config, external: ExternalSecrets) -> Iterator[tuple[str, str]]:
    """Keys of issuers and of clients that cannot be used, as far as is known without asking
    anybody: pairs of key and reason."""
    guard = EgressGuard()
    configure_for_issuers(guard, config.delivery, config.auth.allow_networks)
    for position, model in enumerate(config.auth.jwt):
        name, reason = _unusable_issuer(model, external, guard)
        if reason:
            yield f"auth.jwt[{position}].{name}", reason
    for client, hmac in config.auth.hmac.items():
        found = None if hmac.secret_name is None else external.find(hmac.secret_name)
        try:
            signers(() if found is None else (found[1],))
        except ValueError as error:
            yield f"auth.hmac.{client}.secret_name", f"the secret {hmac.secret_name}: {error}"


def _unusable_issuer(
    model: IssuerModel, external: ExternalSecrets, guard: EgressGuard
) -> tuple[str, str]:
    """The key of an issuer that is wrong, and why; an empty reason if none is."""
    try:
        if model.keys:
            file_keys(external.directory, external.is_private, model.keys)
        elif model.secret_name is not None:
            found = external.find(model.secret_name)
            if found is not None:
                secret_keys(model.secret_name, lambda _name: (found[1],))
        else:
            refused = guard.refuses_url(keys_url(model.settings()))
            name = "issuer" if model.jwks_url is None else "jwks_url"
            return name, f"{refused}; auth.allow_networks can allow it" if refused else ""
    except UnusableKeys as error:
        return "keys" if model.keys else "secret_name", str(error)
    return "", ""


def caller_warnings(config: Config, external: ExternalSecrets) -> Iterator[tuple[str, str]]:
    """What may not be as its owner expects: pairs of key and reason."""
    for position, model in enumerate(config.auth.jwt):
        at = f"auth.jwt[{position}]"
        if model.secret_name is not None and external.find(model.secret_name) is None:
            yield (
                f"{at}.secret_name",
                f"the secret {model.secret_name} {NOT_SEALED} its tokens are refused",
            )
        if model.scopes.map is None and model.scopes.claim not in _SCOPE_CLAIMS:
            yield (
                f"{at}.scopes",
                f"without a map the values of {model.scopes.claim} are the names of scopes: a "
                "role 'admin' of the issuer may do everything here",
            )
    for client, hmac in config.auth.hmac.items():
        if hmac.secret_name is not None and external.find(hmac.secret_name) is None:
            yield (
                f"auth.hmac.{client}.secret_name",
                f"the secret {hmac.secret_name} {NOT_SEALED} its requests are refused",
            )
