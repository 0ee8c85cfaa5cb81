"""The sections of NATS and Redis: their URLs, who the gateway is to them, and TLS."""

from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from event_gateway.config.values import MAX_LISTED, Section
from event_gateway.core.streams.definition import MAX_REPLICAS
from event_gateway.core.text.urls import CLUSTER, SENTINEL, parse_server_url, servers_of

File = Annotated[str, Field(min_length=1)]


def check_server_url(url: str, schemes: tuple[str, ...]) -> None:
    """Raises ValueError, whose text never contains the URL: it may contain a password."""
    form = f"must begin with {', '.join(f'{scheme}://' for scheme in schemes)}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"is not a URL: it {form}, and its port must be a number") from None
    if parts.scheme not in schemes:
        raise ValueError(form)
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("has no socket path")
    elif not parts.hostname or port == 0:
        raise ValueError("has no host")
    else:
        parse_server_url(url)  # an international host


class ServerTlsModel(Section):
    """TLS to your server. Files are PEM files, relative to `secrets.dir`. The gateway reads them
    for each connection."""

    ca: File | None = Field(
        None,
        description="A file with the authorities that may have issued the server's certificate. "
        "Default: those of the system.",
    )
    cert: File | None = Field(
        None,
        description="A file with the gateway's client certificate, if the server asks for one.",
    )
    key: File | None = Field(
        None, description="A file with the private key of `cert`. Default: the file in `cert`."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.key is not None and self.cert is None:
            raise ValueError("has a key and no cert")
        return self


class NatsTlsModel(ServerTlsModel):
    """TLS to your NATS. Files are PEM files, relative to `secrets.dir`. The gateway reads them for
    each connection."""

    handshake_first: bool = Field(
        False,
        description="Whether TLS begins before the server's greeting. Servers with "
        "`handshake_first` require it.",
    )


class NatsModel(Section):
    """NATS JetStream. Files are relative to `secrets.dir`. The gateway reads them for each
    connection."""

    url: str | None = Field(
        None,
        repr=False,
        description="The URL of your NATS servers, separated by commas. Default: none; the "
        "gateway starts a server of its own.",
    )
    creds: str | None = Field(
        None,
        min_length=1,
        repr=False,
        description="A credentials file with the JWT and the seed of a user.",
    )
    nkey: str | None = Field(
        None, min_length=1, repr=False, description="The seed of a user (`SU…`), or a file with it."
    )
    user: str | None = Field(
        None, min_length=1, description="The user name, with `password` or `password_file`."
    )
    password: str | None = Field(
        None, min_length=1, repr=False, description="The password of `user`."
    )
    password_file: File | None = Field(None, description="A file with the password of `user`.")
    token: str | None = Field(
        None, min_length=1, repr=False, description="The token that the server asks for."
    )
    token_file: File | None = Field(None, description="A file with the token.")
    tls: NatsTlsModel | None = Field(
        None,
        description="TLS to the server. With this section the gateway refuses a server without "
        "TLS. Default: TLS if the server requires it, or the URL begins with `tls://`.",
    )
    replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] | None = Field(
        None,
        description="The number of servers of a NATS cluster that store the gateway's streams. "
        "Default: 1 for new streams; existing streams keep theirs.",
    )

    @property
    def place(self) -> str | None:
        """Where the servers are; None: the gateway starts one."""
        return self.url

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        for url in servers_of(value) if value is not None else ():
            check_server_url(url, ("nats", "tls", "ws", "wss"))
        return value

    @model_validator(mode="after")
    def _login(self) -> Self:
        _needs_url(self, ("creds", "nkey", "user", "password", "password_file", "token",
                          "token_file", "tls"))  # fmt: skip
        ways = [name for name in ("creds", "nkey", "token", "token_file", "user")
                if getattr(self, name) is not None]  # fmt: skip
        if self.url is not None and any(parse_server_url(url).user for url in servers_of(self.url)):
            ways.insert(0, "a user in url")
        if len(ways) > 1:
            raise ValueError(f"names the gateway's user more than once: {', '.join(ways)}")
        _one_password(self)
        if self.user is not None and self.password is None and self.password_file is None:
            raise ValueError("has a user and neither password nor password_file")
        if self.tls is not None and self.url is not None and "ws://" in self.url:
            raise ValueError("has tls, and ws:// in url: write wss://")
        return self


def _place(value: str) -> str:
    try:
        parts = urlsplit(f"//{value}")
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc != value or not parts.hostname or "@" in value or "," in value:
        raise ValueError('is no host with its port: write "redis-1.internal:6379"')
    return value


Place = Annotated[str, AfterValidator(_place)]
Places = Annotated[list[Place], Field(min_length=1, max_length=MAX_LISTED)]


class SentinelModel(Section):
    """The Sentinels, which tell the gateway the primary."""

    servers: Places = Field(
        description="Host and port of each Sentinel. The default port is 26379."
    )
    master: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{1,128}$",
        description="The name of the primary in the configuration of the Sentinels.",
    )
    username: str | None = Field(
        None, min_length=1, description="An ACL user of the Sentinels. Default: the default user."
    )
    password: str | None = Field(
        None, min_length=1, repr=False, description="The password of the Sentinels."
    )
    password_file: File | None = Field(
        None, description="A file with the password of the Sentinels."
    )
    tls: ServerTlsModel | None = Field(
        None, description="TLS to the Sentinels. `redis.tls` is for the servers."
    )

    @model_validator(mode="after")
    def _login(self) -> Self:
        _one_password(self)
        return self


class ClusterModel(Section):
    """A Redis Cluster or Valkey Cluster. The gateway uses one of its slots."""

    servers: Places = Field(
        description="Host and port of some nodes, which tell the gateway the others. The "
        "default port is 6379."
    )


class RedisModel(Section):
    """Redis or Valkey. Files are relative to `secrets.dir`. The gateway reads them for each
    connection."""

    url: str | None = Field(
        None,
        repr=False,
        description="The URL of your Redis or Valkey. Default: none; without `sentinel` and "
        "`cluster` too, the gateway starts a server of its own.",
    )
    sentinel: SentinelModel | None = Field(
        None, description="A primary with replicas, supervised by Sentinels, in place of `url`."
    )
    cluster: ClusterModel | None = Field(
        None, description="A Redis Cluster or Valkey Cluster, in place of `url`."
    )
    username: str | None = Field(
        None, min_length=1, description="An ACL user. Default: the default user."
    )
    password: str | None = Field(
        None, min_length=1, repr=False, description="The password of the user."
    )
    password_file: File | None = Field(None, description="A file with the password of the user.")
    tls: ServerTlsModel | None = Field(
        None, description="TLS to the server. Default: TLS if the URL begins with `rediss://`."
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None:
            check_server_url(value, ("redis", "rediss", "unix"))
        return value

    @property
    def place(self) -> str | None:
        """Where the servers are, as one URL without credentials but those of ``url``; None: the
        gateway starts one."""
        if self.sentinel is not None:
            return f"{SENTINEL}://{','.join(self.sentinel.servers)}#{self.sentinel.master}"
        if self.cluster is not None:
            return f"{CLUSTER}://{','.join(self.cluster.servers)}"
        return self.url

    @model_validator(mode="after")
    def _login(self) -> Self:
        shapes = [name for name in ("url", "sentinel", "cluster") if getattr(self, name)]
        if len(shapes) > 1:
            raise ValueError(f"has {' and '.join(shapes)}: give one of them")
        _needs_url(self, ("username", "password", "password_file", "tls"))
        _one_password(self)
        if self.url is None:
            return self
        named = parse_server_url(self.url)
        query = parse_qs(urlsplit(named.url).query)
        if (named.user is not None or {"username", "password"} & set(query)) and (
            self.password is not None or self.password_file is not None
        ):
            raise ValueError("names the gateway's user more than once: a user in url, password")
        if self.tls is not None:
            if self.url.startswith("unix://"):
                raise ValueError("has tls, and unix:// in url, which has none")
            if any(name.startswith("ssl_") for name in query):
                raise ValueError("has tls, and ssl_… in url: give one of them")
        return self


def _needs_url(section: NatsModel | RedisModel, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if given and section.place is None:
        raise ValueError(
            f"has {given[0]} and no url: the server that the gateway starts needs none"
        )


def _one_password(section: NatsModel | RedisModel | SentinelModel) -> None:
    if section.password is not None and section.password_file is not None:
        raise ValueError("has password and password_file: give one of them")
    if not isinstance(section, NatsModel):
        if section.username is not None and (section.password or section.password_file) is None:
            raise ValueError("has a username and neither password nor password_file")
        return
    if section.token is not None and section.token_file is not None:
        raise ValueError("has token and token_file: give one of them")
    if section.user is None and (section.password or section.password_file) is not None:
        raise ValueError("has a password and no user")
