"""A certificate authority for tests, and a client certificate in files."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(CN=f"test authority {id(self)}")
        self.certificate = self._sign(self._name, self._key, 1, authority=True)

    def server(self, address: str = "127.0.0.1", days: int = 1) -> ssl.SSLContext:
        """The TLS context of a server with a certificate for this address or name."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._context(self._sign(_named(CN="server"), key, days, address=address), key)

    def write(self, name: str, address: str | None = None, days: int = 1) -> str:
        """Writes a new certificate with its key into one file; returns the file's path."""
        key = ec.generate_private_key(ec.SECP256R1())
        path = self._directory / name
        path.write_bytes(_pem(self._sign(_named(CN=name), key, days, address=address), key))
        return str(path)

    def write_own(self, name: str) -> str:
        """Writes the authority's certificate into a file; returns the file's path."""
        path = self._directory / name
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)

    def self_signed(self) -> ssl.SSLContext:
        """The TLS context of a server whose certificate no client trusts."""
        return Authority(self._directory).server()

    def client(self) -> ssl.SSLContext:
        """The TLS context of a client that trusts only this authority."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: int,
        *, authority: bool = False, address: str | None = None,
    ) -> x509.Certificate:  # fmt: skip
        builder = _unsigned(name, key, self._name, days, authority=authority)
        if address is not None:
            alternative: x509.GeneralName
            try:
                alternative = x509.IPAddress(ipaddress.ip_address(address))
            except ValueError:
                alternative = x509.DNSName(address)
            builder = builder.add_extension(
                x509.SubjectAlternativeName([alternative]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())

    def _context(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> ssl.SSLContext:
        path = self._directory / "server.pem"
        path.write_bytes(_pem(certificate, key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


class IssuedFiles:
    """Certificates of an authority in a folder, each with its key: ``ca.pem``, ``NAME.pem``,
    ``NAME.key``."""

    def __init__(self, directory: Path, common_name: str = "test authority") -> None:
        self.directory = directory
        directory.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(CN=common_name)
        self._certificate = self._sign(self._name, self._key, 1, [], authority=True)
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *alternatives: x509.GeneralName, days: float = 1,
        subject: x509.Name | None = None,
    ) -> tuple[Path, Path]:  # fmt: skip
        """Writes certificate and key, each in place of the former file; returns the paths.
        ``subject``: by default ``CN=NAME``."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(subject or _named(CN=name), key, days, list(alternatives))
        paths = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        contents = certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)
        for path, content in zip(paths, contents, strict=True):
            _replace(path, content)
        return paths

    def serve(self, days: float = 1) -> tuple[Path, Path]:
        """Certificate and key of a server on loopback."""
        return self.issue(
            "server",
            x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
            days=days,
        )  # fmt: skip

    def revoke(self, *certificates: Path, days: float = 1) -> Path:
        """Writes ``crl.pem``, which revokes these certificates, and no others."""
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - datetime.timedelta(days=30))
            .next_update(now + datetime.timedelta(days=days))
        )
        for path in certificates:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(now)
                .build()
            )
        crl = builder.sign(self._key, hashes.SHA256())
        path = self.directory / "crl.pem"
        _replace(path, crl.public_bytes(serialization.Encoding.PEM))
        return path

    def client(self, name: str | None = None) -> ssl.SSLContext:
        """The TLS context of a client that trusts the authority, and shows a certificate."""
        context = ssl.create_default_context(cafile=self.ca)
        if name is not None:
            context.load_cert_chain(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        return context

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: float,
        alternatives: list[x509.GeneralName], *, authority: bool = False,
    ) -> x509.Certificate:  # fmt: skip
        builder = _unsigned(name, key, self._name, days, authority=authority)
        if alternatives:
            names = x509.SubjectAlternativeName(alternatives)
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(**parts: str) -> x509.Name:
    kinds = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME}
    return x509.Name([x509.NameAttribute(kinds[kind], text) for kind, text in parts.items()])


def _unsigned(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, days: float,
    *, authority: bool,
) -> x509.CertificateBuilder:  # fmt: skip
    """A certificate that has been valid for a month, and is for so many days."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )  # fmt: skip


def _replace(path: Path, content: bytes) -> None:
    """Writes a file in place of the former one, so that nobody reads a half of it."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM) + _key_pem(key)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class ClientFiles:
    """A folder of secrets with a client certificate, its key, and its authority's certificate."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.directory.mkdir()
        self.authority = Authority(directory)
        self.trusted = directory / "ca.pem"
        self.trusted.write_bytes(
            self.authority.certificate.public_bytes(serialization.Encoding.PEM)
        )
        self.renew(self.authority)

    def renew(self, authority: Authority, days: int = 1) -> None:
        """Writes a new certificate and key, both into one file."""
        authority.server(days=days)
        (self.directory / "server.pem").replace(self.directory / "client.pem")

    def demanding(self) -> ssl.SSLContext:
        """The TLS context of a server that requires a client certificate of the authority."""
        context = self.authority.server()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.trusted)
        return context
