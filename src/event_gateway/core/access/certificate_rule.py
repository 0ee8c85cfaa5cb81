"""Which client certificates may call, as whom, and what they may do then."""

import re
from collections.abc import Iterable

import msgspec

from event_gateway.core.access.client_certificate import ClientCertificate

# A relative distinguished name: pairs of the attribute's object identifier and its value.
Rdn = frozenset[tuple[str, str]]
_SPACES = re.compile(r"(?<!\\),[ ]+")


class CertificateRule(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate is that of ``name`` if all names that the rule gives are in it: the whole
    subject, and an alternative name of each kind. Texts are compared exactly; one ``*`` in a text
    stands for one or more characters, but not for the separator of its kind: ``.`` in ``dns``,
    ``/`` in ``uri``, ``@`` in ``email``, the next attribute in ``subject``.

    ``scopes`` and what narrows them as :class:`core.access.principal.Principal` has them.
    """

    name: str
    scopes: frozenset[str]
    subject: tuple[Rdn, ...] | None = None
    dns: str | None = None
    uri: str | None = None
    email: str | None = None
    namespaces: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None

    def matches(self, certificate: ClientCertificate) -> bool:
        """Whether a certificate is one of this rule's."""
        return (
            (self.subject is None or _subject_fits(self.subject, certificate.subject))
            and (self.dns is None or _any_fits(self.dns.lower(), _lower(certificate.dns), "."))
            and (self.uri is None or _any_fits(self.uri, certificate.uris, "/"))
            and (self.email is None or _any_fits(self.email, certificate.emails, "@"))
        )


def read_subject(text: str) -> tuple[Rdn, ...]:
    """The parts of a subject as RFC 4514 writes it, the first one first; spaces after a comma count
    for nothing. Raises ValueError if it is none."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    names = {"emailAddress": NameOID.EMAIL_ADDRESS, "E": NameOID.EMAIL_ADDRESS}
    try:
        name = x509.Name.from_rfc4514_string(_SPACES.sub(",", text), names)
    except (ValueError, IndexError, KeyError):
        name = None
    if name is None or not name.rdns:
        raise ValueError(
            "is no subject as RFC 4514 writes it, such as CN=orders,O=Example "
            "(openssl x509 -noout -subject -nameopt RFC2253 shows it)"
        )
    return tuple(
        frozenset((attribute.oid.dotted_string, str(attribute.value)) for attribute in rdn)
        for rdn in name.rdns
    )


def _lower(texts: Iterable[str]) -> Iterable[str]:
    return (text.lower() for text in texts)


def _subject_fits(wanted: tuple[Rdn, ...], subject: str) -> bool:
    try:
        given = read_subject(subject)
    except ValueError:
        return False
    return len(given) == len(wanted) and all(map(_rdn_fits, wanted, given))


def _rdn_fits(wanted: Rdn, given: Rdn) -> bool:
    values = dict(given)
    return len(values) == len(given) == len(wanted) and all(
        kind in values and fits(text, values[kind], "") for kind, text in wanted
    )


def _any_fits(wanted: str, given: Iterable[str], separator: str) -> bool:
    return any(fits(wanted, text, separator) for text in given)


def fits(wanted: str, text: str, separator: str) -> bool:
    """Whether a text is the wanted one, in which one ``*`` stands for one or more characters other
    than ``separator``."""
    before, star, after = wanted.partition("*")
    if not star:
        return text == wanted
    if len(text) <= len(before) + len(after):
        return False
    if not (text.startswith(before) and text.endswith(after)):
        return False
    between = text[len(before) : len(text) - len(after)]
    return not separator or separator not in between
