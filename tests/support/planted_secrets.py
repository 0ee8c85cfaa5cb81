"""Secrets of a gateway, each of them a canary, and the webhooks that use them."""

import base64
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from support.canaries import Canaries
from support.certificates import Authority
from support.echo_server import Answer, EchoedRequest, EchoServer

PREFIX = "EVENT_GATEWAY_SECRET_"
ODD = "\"'\\/&<+=%~ "


class PlantedSecrets:
    """Secrets of every kind: in ``environ``, in the folder ``secrets``, and sealed."""

    def __init__(self, directory: Path) -> None:
        self.canaries = result = Canaries()
        self.folder = directory / "secrets"
        self.folder.mkdir()
        self.authority = Authority(directory)
        self.tokens: list[str] = []
        self.whsec = [result.key("hmac", "whsec_"), result.key("hmac2", "whsec_")]
        self.proxy_password = result.make("proxy")
        pair_password = result.make("pair", "ü:" + ODD)
        result.plant("pair", f"user:{pair_password}")
        self.values = {
            "bearer": result.make("bearer", ODD),
            "basic": result.make("basic", "ü" + ODD),
            "pair": f"user:{pair_password}",
            "hmac": " ".join(self.whsec),
            "ed": result.key("ed", "whsk_"),
            "client": result.make("client", '/+&= %"'),
            "client2": result.make("client2", '/+&= %"'),
            "refused": result.make("refused", "/+&="),
            "down": result.make("down"),
            "spoilt": result.make("spoilt"),
            "lines": result.make("lines") + "\n" + result.make("line2"),
            "not_utf8": result.make("notutf8") + "\udcff",
            "password": result.make("password", "ü"),
            "wrong": result.make("wrong"),
        }
        self.no_base64 = result.make("nobase64", "!")
        (self.folder / "from-file").write_text(result.make("file", ODD) + "\n")
        self._certificate("locked", self.values["password"].encode())
        self._certificate("open", None)
        (self.folder / "broken.pem").write_text(
            f"-----BEGIN PRIVATE KEY-----\n{result.make('brokenpem')}\n-----END PRIVATE KEY-----\n"
        )
        authority = self.authority.certificate.public_bytes(Encoding.PEM)
        (self.folder / "ca.pem").write_bytes(authority)

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the gateway."""
        secrets = {PREFIX + name.upper(): value for name, value in self.values.items()}
        return secrets | {"PROXY_PASSWORD": self.proxy_password}

    def add_no_base64(self) -> None:
        """Writes the secret of the webhook ``no-base64``: while it is there the API refuses that
        webhook."""
        (self.folder / "no_base64").write_text(self.no_base64)

    def _certificate(self, name: str, password: bytes | None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self.authority._sign(subject, key, 1)
        (self.folder / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        (self.folder / f"{name}.key").write_bytes(pem)
        for line in pem.splitlines()[2:-2] or pem.splitlines()[1:2]:
            self.canaries.plant(f"key of {name}", line, base64.b64decode(line + b"=="))

    def token(self, sent: EchoedRequest) -> Answer:
        """A token endpoint: new tokens, errors that repeat the request, and invalid tokens."""
        if sent.path.startswith("/refuse"):
            text = sent.headers["authorization"] + json.dumps(sent.headers) + sent.body.decode()
            if sent.path == "/refuse-cut":  # the secret crosses the end of the stored part
                user_password = base64.b64decode(sent.headers["authorization"].split()[-1]).decode()
                text = "." * 145 + user_password
            error = {"error": "invalid_client", "error_description": text}
            return Answer(400, [("content-type", "application/json")], json.dumps(error).encode())
        token = self.canaries.make(f"token{len(self.tokens)}")
        self.tokens.append(token)
        if sent.path == "/spoilt":
            token += "\n" + token
        answer = {"access_token": token, "token_type": "bearer", "expires_in": 300}
        return Answer(200, [("content-type", "application/json")], json.dumps(answer).encode())

    def webhooks(
        self, plain: EchoServer, tls: EchoServer, token: EchoServer, dead: str
    ) -> list[dict[str, Any]]:
        """A webhook for each auth method, and for each way in which it can fail."""
        oauth = {"auth_type": "oauth2_client_credentials", "client_id": "gate way"}
        mtls = {"auth_type": "mtls", "ca": "ca.pem"}
        locked = mtls | {"cert": "locked.crt", "key": "locked.key"}
        opened = mtls | {"cert": "open.crt", "key": "open.key"}

        def by(auth_type: str, name: str, **more: str) -> dict[str, Any]:
            return {"auth_type": auth_type, "secret_name": name, **more}

        first = oauth | {"token_url": f"{token.url}/token", "secret_name": "client"}
        second = oauth | {
            "token_url": f"{token.url}/token",
            "secret_name": "client2",
            "client_auth": "body",
        }
        ways: dict[str, Any] = {
            "bearer": by("bearer_token", "bearer"),
            "cut": by("bearer_token", "bearer"),
            "file": [by("api_key", "from-file", header="X-Key"), by("hmac_signature", "hmac")],
            "basic": by("basic", "basic", username="user"),
            "pair": by("basic", "pair"),
            "hmac": by("hmac_signature", "hmac"),
            "ed": by("hmac_signature", "ed"),
            "oauth": first,
            "401": first,
            "slow": first,
            "oauth2": second,
            "sealed": by("bearer_token", "sealed"),
            "refused": oauth | {"token_url": f"{token.url}/refuse", "secret_name": "refused"},
            "refused-cut": oauth
            | {"token_url": f"{token.url}/refuse-cut", "secret_name": "refused"},
            "spoilt": oauth | {"token_url": f"{token.url}/spoilt", "secret_name": "spoilt"},
            "down": oauth | {"token_url": dead, "secret_name": "down"},
            "lines": by("bearer_token", "lines"),
            "no-base64": by("hmac_signature", "no_base64"),
            "not-utf8": by("bearer_token", "not_utf8"),
            "not-utf8-key": by("hmac_signature", "not_utf8"),
            "missing": by("bearer_token", "missing"),
            "locked": locked | {"secret_name": "password"},
            "open": opened,
            "wrong": locked | {"secret_name": "wrong"},
            "broken": opened | {"key": "broken.pem"},
        }
        return [
            {
                "id": name, "events": ["user.*"], "security": security,
                "url": f"{(tls if name in ('locked', 'open') else plain).url}/{name}",
                "retry_policy": {"max_attempts": 2, "initial_delay": "100ms"},
            }
            for name, security in ways.items()
        ]  # fmt: skip
