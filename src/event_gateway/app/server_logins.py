"""How the gateway logs in to NATS and Redis, made from the configuration.

Files are read for each new connection, so that a renewed one is used without a restart.
"""

import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

from event_gateway.broker.login import NatsLogin, NatsLoginFailed
from event_gateway.config.model import Config
from event_gateway.config.servers_model import ServerTlsModel
from event_gateway.state.login import RedisLogin
from event_gateway.transport.tls_files import TlsFiles, read_file

Read = Callable[[], str]
_SEED = re.compile(r"S[A-Z2-7]{40,}")  # of an nkey, whatever it is the key of


def nats_login(config: Config) -> NatsLogin:
    """Who the gateway is to NATS. No file is read yet."""
    nats, directory = config.nats, Path(config.secrets.dir)
    creds, nkey = _file_in(nats.creds, _is_creds), _file_in(nats.nkey, _is_seed)
    return NatsLogin(
        user=nats.user,
        password=_secret(nats.password, nats.password_file, directory, "nats.password_file"),
        token=_secret(nats.token, nats.token_file, directory, "nats.token_file"),
        creds=_secret(nats.creds, creds, directory, "nats.creds"),
        nkey=_secret(nats.nkey, nkey, directory, "nats.nkey"),
        tls=_tls(nats.tls, directory, "nats"),
        handshake_first=nats.tls is not None and nats.tls.handshake_first,
    )


def redis_login(config: Config) -> RedisLogin:
    """Who the gateway is to Redis. No file is read yet."""
    redis, directory = config.redis, Path(config.secrets.dir)
    sentinels = None
    if (sentinel := redis.sentinel) is not None:
        key = "redis.sentinel.password_file"
        sentinels = RedisLogin(
            username=sentinel.username,
            password=_secret(sentinel.password, sentinel.password_file, directory, key),
            tls=_tls(sentinel.tls, directory, "redis.sentinel"),
        )
    return RedisLogin(
        username=redis.username,
        password=_secret(redis.password, redis.password_file, directory, "redis.password_file"),
        tls=_tls(redis.tls, directory, "redis"),
        sentinels=sentinels,
    )


def login_problems(config: Config) -> Iterator[tuple[str, str]]:
    """The faults of the files that the logins name: pairs of key and reason."""
    nats, redis = nats_login(config), redis_login(config)
    try:
        nats.check()
    except NatsLoginFailed as error:
        yield _key_and_reason(str(error))
    for login in (redis, redis.sentinels):
        for read in () if login is None else (login.password, login.tls):
            if read is not None:
                try:
                    read()
                except ValueError as error:
                    yield _key_and_reason(str(error))


def login_files(config: Config) -> tuple[Path, ...]:
    """The files of the logins. No webhook may name them as its secret or certificate."""
    directory = Path(config.secrets.dir)
    nats, redis = config.nats, config.redis
    names = [nats.password_file, nats.token_file, redis.password_file]
    names += [_file_in(nats.creds, _is_creds), _file_in(nats.nkey, _is_seed)]
    sections: list[ServerTlsModel | None] = [nats.tls, redis.tls]
    if redis.sentinel is not None:
        names.append(redis.sentinel.password_file)
        sections.append(redis.sentinel.tls)
    names += [tls.key or tls.cert for tls in sections if tls is not None]
    return tuple(directory / name for name in names if name)


def _key_and_reason(text: str) -> tuple[str, str]:
    key, _, reason = text.partition(": ")
    return key, reason


def _secret(value: str | None, file: str | None, directory: Path, key: str) -> Read | None:
    """Reads a secret from its file, if there is one; else it is the value."""
    if file is not None:
        return lambda: _line_of(directory / file, key)
    return None if value is None else lambda: value


def _file_in(value: str | None, is_secret: Callable[[str], bool]) -> str | None:
    """The name of a file, if a text of the configuration is one, and not the secret itself."""
    return None if value is None or is_secret(value) else value


def _is_creds(value: str) -> bool:
    """Whether a text is credentials itself, as ``${NAME}`` gives them, and not a file's name."""
    return "-----BEGIN" in value or "\n" in value


def _is_seed(value: str) -> bool:
    return _SEED.fullmatch(value.strip()) is not None


def _line_of(path: Path, key: str) -> str:
    try:
        text = read_file(path, key).decode().strip()
    except UnicodeDecodeError:
        raise ValueError(f"{key}: {path} is not UTF-8") from None
    if not text:
        raise ValueError(f"{key}: {path} is empty")
    return text


def _tls(
    tls: ServerTlsModel | None, directory: Path, section: str
) -> Callable[[], ssl.SSLContext] | None:
    if tls is None:
        return None
    files = TlsFiles(tls, directory, protocols=())

    def context() -> ssl.SSLContext:
        try:
            return files.identity(None).context
        except ValueError as error:
            raise ValueError(f"{section}.tls.{error}") from None

    return context
