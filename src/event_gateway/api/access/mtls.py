"""Client certificates: rules say whose they are."""

import time
from collections.abc import Callable, Sequence

from event_gateway.api.access.authenticator import Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.core.access.certificate_rule import CertificateRule
from event_gateway.core.access.client_certificate import ClientCertificate, UnreadableCertificate
from event_gateway.core.access.principal import Principal

MAX_KNOWN = 65_536  # certificates whose principal is kept; a live connection has one of them
_SAME = frozenset((None, "same-origin", "none"))


class ClientCertificates:
    """Checks the certificate that a client has shown. ``refuses``: why a certificate is not trusted
    now, None if it is; ``allows_page``: whether a page may use the gateway, by ``Origin`` and
    ``Host``."""

    def __init__(
        self,
        rules: Sequence[CertificateRule],
        refuses: Callable[[ClientCertificate], str | None],
        allows_page: Callable[[str, str], bool],
    ) -> None:
        self._refuses = refuses
        self._allows_page = allows_page
        self._certificates: dict[str, ClientCertificate] = {}
        self.configure(rules)

    def configure(self, rules: Sequence[CertificateRule]) -> None:
        """Applies these rules from now on, also to connections that are open."""
        self._rules = tuple(rules)
        self._principals: dict[ClientCertificate, Principal | None] = {}

    def forget_forwarded(self) -> None:
        """Other proxies are trusted now: connections of callers whose certificates a proxy has
        forwarded are not valid any more. Those callers may connect again."""
        forwarded = [known for known in self._certificates.values() if not known.authorities]
        for certificate in forwarded:
            del self._certificates[_id(certificate)]
        self._principals.clear()

    def authenticate(self, request: CallerRequest) -> Principal | None:
        """The caller that the first matching rule names. None if there is no certificate, or no
        rule."""
        if not self._rules:
            return None
        try:
            certificate = request.certificate
        except UnreadableCertificate as error:
            raise Unauthenticated(f"the client certificate cannot be read: {error}") from None
        if certificate is None:
            return None
        reason = self._why_refused(certificate)
        if reason is not None:
            raise Unauthenticated(reason)
        principal = self._principal_of(certificate)
        if principal is None:
            raise Unauthenticated(
                "no rule of auth.mtls fits the client certificate, and the request has no key"
            )
        if not self._is_of_own_page(request):
            raise Unauthenticated("pages of other origins cannot use a certificate of the browser")
        return principal

    def trusted(self, request: CallerRequest) -> ClientCertificate | None:
        """The certificate that the client has shown, if it is trusted now, whosever it is."""
        try:
            certificate = request.certificate
        except UnreadableCertificate:
            return None
        if certificate is None or self._why_refused(certificate) is not None:
            return None
        return certificate

    def names_caller(self, request: CallerRequest) -> bool:
        """Whether a rule says whose certificate the client has shown."""
        certificate = self.trusted(request) if self._rules else None
        return certificate is not None and self._principal_of(certificate) is not None

    def still_valid(self, principal: Principal) -> bool:
        """Whether the certificate is trusted, and the rules still say the same of it."""
        certificate = self._certificates.get(principal.id)
        return (
            certificate is not None
            and self._why_refused(certificate) is None
            and self._principal_of(certificate) == principal
        )

    def _why_refused(self, certificate: ClientCertificate) -> str | None:
        if certificate.expires_at is not None and time.time() >= certificate.expires_at:
            return "the client certificate has expired"
        return self._refuses(certificate)

    def _principal_of(self, certificate: ClientCertificate) -> Principal | None:
        if certificate in self._principals:
            return self._principals[certificate]
        principal = next(
            (
                Principal(
                    name=rule.name, method="mtls", id=_id(certificate), scopes=rule.scopes,
                    namespaces=rule.namespaces, types=rule.types, streams=rule.streams,
                    expires_at=certificate.expires_at,
                )
                for rule in self._rules
                if rule.matches(certificate)
            ),
            None,
        )  # fmt: skip
        self._principals[certificate] = principal
        self._certificates[_id(certificate)] = certificate
        for known in (self._principals, self._certificates):
            if len(known) > MAX_KNOWN:
                del known[next(iter(known))]  # type: ignore[arg-type]
        return principal

    def _is_of_own_page(self, request: CallerRequest) -> bool:
        """A browser adds a certificate to the requests of every page, so that a foreign page could
        act as its user."""
        origin = request.header(b"origin")
        if origin is None:
            return request.header(b"sec-fetch-site") in _SAME
        return self._allows_page(origin, request.header(b"host") or "")


def _id(certificate: ClientCertificate) -> str:
    """What identifies a certificate: the issuer with its serial number, or all that is known."""
    if certificate.serial:
        return f"{certificate.serial} {certificate.issuer}"
    names = (certificate.subject, *certificate.uris, *certificate.dns)
    return certificate.fingerprint or " ".join(name for name in names if name)
