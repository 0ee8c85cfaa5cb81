"""Builds the authentication of callers: the methods by which they prove themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

from event_gateway.api.access.api_keys import ApiKeys
from event_gateway.api.access.authenticator import Authenticator, CallerMethod
from event_gateway.api.access.browser_tokens import BrowserTokens
from event_gateway.api.access.caller_limits import CallerLimits
from event_gateway.api.access.hmac_signature import HmacClient, HmacSignatures
from event_gateway.api.access.jwt_tokens import JwtTokens
from event_gateway.api.access.key_sources import Fetch, file_keys, key_source
from event_gateway.api.access.mtls import ClientCertificates
from event_gateway.app.stages.stages import Stages
from event_gateway.audit.trail import AuditTrail
from event_gateway.config.hmac_model import HmacClientModel
from event_gateway.config.model import Config
from event_gateway.core.access.browser_token import signing_key
from event_gateway.core.access.issuer import Issuer
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.verification_keys import VerificationKeys
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.registration.key_ring import KeyRing
from event_gateway.registration.keys import Keys
from event_gateway.registration.tokens import Tokens
from event_gateway.secrets.named import Secrets
from event_gateway.state.browser_tokens import IssuedTokens
from event_gateway.state.key_uses import KeyUses
from event_gateway.state.signed_requests import SignedRequests
from event_gateway.tasks import TaskGroup
from event_gateway.transport.client import HttpClient
from event_gateway.transport.document import MAX_BODY
from event_gateway.transport.egress_guard import EgressGuard, configure_for_issuers
from event_gateway.transport.proxy import proxy_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The parts of this stage. ``http`` fetches the keys of issuers, as far as ``guard`` allows."""

    authenticator: Authenticator
    keys: Keys
    tokens: Tokens
    jwt: JwtTokens
    hmac: HmacSignatures
    secrets: Secrets
    http: HttpClient
    guard: EgressGuard
    audit: AuditTrail

    def configure(self, config: Config) -> None:
        """Applies a configuration, at the start and at each reload."""
        failed, limits = config.auth.failed_logins, config.server.limits
        self.authenticator.limits.configure(
            failures=failed.limit, period=failed.period,
            requests=limits.requests, window=limits.per,
        )  # fmt: skip
        configure_for_issuers(self.guard, config.delivery, config.auth.allow_networks)
        self.http.renew(proxy_of(config.delivery.proxy))
        self.jwt.configure([model.settings() for model in config.auth.jwt])
        clients = [_client(name, model) for name, model in config.auth.hmac.items()]
        self.hmac.configure(clients)
        names = [model.secret_name for model in config.auth.jwt]
        names += [model.secret_name for model in config.auth.hmac.values()]
        names.append(config.compliance.anchor_key)  # no webhook may send it to its receiver
        self.secrets.keep_for_callers(name for name in names if name is not None)

    def start(self, tasks: TaskGroup) -> None:
        """Starts to fetch the keys of issuers, to read the file of the admin key again, and to
        store when keys were used."""
        tasks.start("issuer-keys", self.jwt.renew_keys)
        tasks.start("admin-key", self._follow_admin_key)
        tasks.start("key-uses", self.keys.write_uses)

    async def _follow_admin_key(self) -> None:
        await self.keys.ring.follow_admin_key(self.audit.admin_key_changed)

    async def stop(self) -> None:
        """Closes the connections to issuers."""
        await self.http.close()


def build_access(
    config: Config, admin_key: AdminKeyFile, stages: Stages, certificates: ClientCertificates
) -> Access:
    """Needs the adapters and the requests stage, whose secrets and authorities it uses."""
    adapters, requests = stages.adapters, stages.requests
    ring = KeyRing(adapters.registry, admin_key)
    uses = KeyUses(adapters.redis)
    tokens = Tokens(
        key=signing_key(adapters.installation_key), registry=adapters.registry, ring=ring,
        issued=IssuedTokens(adapters.redis),
    )  # fmt: skip
    guard = EgressGuard(own_servers=requests.guard.own_servers)
    http = HttpClient(guard, body_limit=MAX_BODY, max_idle=0, trust=requests.trust)

    def read_files(names: Sequence[str]) -> VerificationKeys:
        return file_keys(requests.secrets.directory, requests.secrets.is_private, names)

    def source(issuer: Issuer) -> Fetch:
        return key_source(issuer, http, read_files, requests.secrets.find)

    jwt = JwtTokens(source, adapters.metrics.issuer_keys_fetched)
    hmac = HmacSignatures(requests.secrets.find, SignedRequests(adapters.redis).is_first)
    keys = ApiKeys(ring)
    # In the order in which they are asked: a method is asked only if those before it found no
    # credential of their own.
    methods: dict[str, CallerMethod] = {
        "browser_token": BrowserTokens(tokens),
        "jwt": jwt,
        "api_key": keys,
        "hmac": hmac,
        "mtls": certificates,  # last: a client cannot leave its certificate out of one request
    }
    access = Access(
        authenticator=Authenticator(methods, CallerLimits(adapters.metrics.http), keys.not_guessed),
        keys=Keys(registry=adapters.registry, ring=ring, admin=admin_key, uses=uses),
        tokens=tokens,
        jwt=jwt,
        hmac=hmac,
        secrets=requests.secrets,
        http=http,
        guard=guard,
        audit=adapters.audit,
    )
    access.configure(config)
    return access


def _client(client_id: str, model: HmacClientModel) -> HmacClient:
    principal = Principal(
        name=model.name or client_id,
        method="hmac",
        id=client_id,
        scopes=frozenset(model.scopes),
        namespaces=None if model.namespaces is None else tuple(model.namespaces),
        types=None if model.types is None else tuple(model.types),
        streams=None if model.streams is None else tuple(model.streams),
    )
    return HmacClient(
        principal=principal, secret_name=model.secret_name, public_keys=tuple(model.public_keys)
    )
