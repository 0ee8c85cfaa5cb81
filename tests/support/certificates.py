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
        self._name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {id(self)}")]
        )
        self.certificate = self._sign(self._name, self._key, 1, authority=True)

    def server(self, address: str = "127.0.0.1", days: int = 1) -> ssl.SSLContext:
        """The TLS context of a server with a certificate for this address or name."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        return self._context(self._sign(name, key, days, address=address), key)

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
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name).issuer_name(self._name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )  # fmt: skip
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
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


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
