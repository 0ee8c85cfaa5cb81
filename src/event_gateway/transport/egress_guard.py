"""The egress guard: checks every address to which the gateway connects on behalf of a webhook.

Each new connection is checked after its name was resolved. What can be checked without resolving
the name is also checked when the URL is registered.
"""

import functools
import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from event_gateway.config.delivery_model import DeliveryModel
from event_gateway.core.webhook.validation import RefusesUrl
from event_gateway.transport.special_addresses import (
    ADDRESS_DOMAINS,
    BAD_PORTS,
    GLOBAL_UNICAST,
    INTERNAL_DOMAINS,
    METADATA_LABELS,
    NAMES,
    NETWORKS,
    SERVICE_PORTS,
    WRAPS_IPV4,
)
from event_gateway.transport.target import parse_target

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NETWORKS = [(ip_network(text), reason) for text, reason in NETWORKS.items()]
_GLOBAL_UNICAST = IPv6Network(GLOBAL_UNICAST)
_WRAPS_IPV4 = [IPv6Network(text) for text in WRAPS_IPV4]
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
REMEMBERED = 1024  # answers about addresses, and about hosts
MAX_NAME = 253  # characters of a host name
_LOOPBACK = [ip_network(text) for text in ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128")]
_HTTP = "plain http is not allowed: use https, or set delivery.allow_http"


class EgressGuard:
    """Allows https to the public internet, and what :meth:`allow` adds.

    ``own_servers``: host and port of the gateway's NATS and Redis, which are always refused.
    """

    def __init__(
        self,
        allow_networks: Iterable[str] = (),
        allow_http: bool = False,
        allow_ports: Iterable[int] = (),
        *,
        allow_service_ports: Iterable[int] = (),
        proxy_resolves: bool = False,
        own_servers: Iterable[tuple[str, int]] = (),
    ) -> None:
        """Takes the arguments of :meth:`allow`."""
        self.own_servers = frozenset((_plain_name(host), port) for host, port in own_servers)
        self._own_ports = frozenset(
            port for host, port in self.own_servers if host == "localhost" or _is_loopback(host)
        )
        self.allow(
            allow_networks,
            allow_http,
            allow_ports,
            service_ports=allow_service_ports,
            proxy_resolves=proxy_resolves,
        )

    def allow(
        self,
        networks: Iterable[str] = (),
        http: bool = False,
        ports: Iterable[int] = (),
        *,
        service_ports: Iterable[int] = (),
        proxy_resolves: bool = False,
    ) -> None:
        """Replaces what is allowed: ``networks`` (CIDR) that are not public, with plain http too;
        ``http``: plain http everywhere; ``ports``, where empty means every port except those of
        other protocols and of internal services; ``service_ports``: those of them that are allowed.

        ``proxy_resolves``: a proxy resolves names, so that the gateway cannot check their
        addresses. Raises ValueError for a network that is not valid.
        """
        self._networks: list[Network] = [ip_network(text) for text in networks]
        self._http = http
        self._ports = frozenset(ports)
        self._service_ports = frozenset(service_ports)
        self._proxy_resolves = proxy_resolves
        # Each new connection asks, and the answer is the same until something else is allowed.
        self._judged = functools.lru_cache(REMEMBERED)(self._judge)
        self._judged_hosts = functools.lru_cache(REMEMBERED)(self._judge_host)

    def refuses(self, address: str, port: int, scheme: str) -> str | None:
        """Why a connection to this IP address is refused; None where it is allowed.

        Of an IPv6 address that wraps an IPv4 address (v4-mapped, NAT64) the latter is checked.
        """
        return self._judged(address, port, scheme)

    def refuses_host(
        self, host: str, port: int, scheme: str, *, resolved: bool | None = None
    ) -> str | None:
        """Why requests to a URL's host are refused, as far as is known without resolving it.

        ``resolved``: whether :meth:`refuses` will check each of its addresses later; by default
        unless a proxy resolves names.
        """
        if resolved is None:
            resolved = not self._proxy_resolves
        judge = self._judged_hosts if len(host) <= MAX_NAME else self._judge_host
        return judge(host, port, scheme, resolved)

    def refuses_url(self, url: str) -> str | None:
        """Why a URL cannot be registered; None where it can. The addresses of its name may still be
        refused when the gateway connects."""
        try:
            target = parse_target(url)
        except ValueError as error:
            return str(error)
        return self.refuses_host(target.host, target.port, target.scheme)

    def _judge(self, address: str, port: int, scheme: str) -> str | None:
        try:
            given = ip_address(address.partition("%")[0])
        except ValueError:
            return _odd_number(address) or f"{address} is no IP address"
        reason = self._refuses_port(port) or self._refuses_own_server(str(_unwrapped(given)), port)
        if reason is not None or self._allowed(given):
            return reason
        special = _special(given)
        if special is not None:
            return f"{address} is in {special}, not in delivery.allow_networks"
        return None if scheme == "https" or (scheme == "http" and self._http) else _HTTP

    def _judge_host(self, host: str, port: int, scheme: str, resolved: bool) -> str | None:
        name = _plain_name(host)
        if "%" in host:
            return f"{host}: an address with a zone, or an escaped one, cannot be sent to"
        reason = _odd_number(host)
        if reason is not None:
            return reason
        if ":" in host or _NUMBER.fullmatch(name.rpartition(".")[2]):
            return self.refuses(host, port, scheme)
        if len(name) > MAX_NAME or _NAME.fullmatch(name) is None:
            return f"{host[:80]!r} is not a host name"
        reason = self._refuses_port(port) or self._refuses_own_server(name, port)
        if reason is not None:
            return reason
        for special, addresses in NAMES.items():
            if name == special or name.endswith("." + special):
                reasons = [self.refuses(address, port, scheme) for address in addresses]
                if all(reasons):
                    return f"{host}: {reasons[0]}"
        if not resolved and (reason := _internal_name(name)) is not None:
            return reason
        if scheme == "https" or self._http or (resolved and self._networks):
            return None  # its addresses may be in an allowed network
        return _HTTP

    def _refuses_port(self, port: int) -> str | None:
        if port in self._service_ports:
            return None
        if self._ports:
            return None if port in self._ports else f"port {port} is not in delivery.allow_ports"
        if port in BAD_PORTS:
            return f"port {port} is another protocol's; delivery.allow_service_ports can allow it"
        if port in SERVICE_PORTS:
            return (
                f"port {port} is that of an internal service; delivery.allow_service_ports can "
                "allow it"
            )
        return None

    def _refuses_own_server(self, host: str, port: int) -> str | None:
        if (host, port) in self.own_servers or (
            port in self._own_ports and (host == "localhost" or _is_loopback(host))
        ):
            return f"{host}:{port} is a server of the gateway itself"
        return None

    def _allowed(self, given: Address) -> bool:
        addresses = (given, _unwrapped(given))
        return any(
            address.version == network.version and address in network
            for network in self._networks
            for address in addresses
        )


def url_rule(delivery: DeliveryModel) -> RefusesUrl:
    """:meth:`EgressGuard.refuses_url` of a guard with this configuration."""
    return guard_of(delivery).refuses_url


def guard_of(delivery: DeliveryModel, own_servers: Iterable[tuple[str, int]] = ()) -> EgressGuard:
    """The guard by this configuration."""
    guard = EgressGuard(own_servers=own_servers)
    configure(guard, delivery)
    return guard


def configure(guard: EgressGuard, delivery: DeliveryModel) -> None:
    """Has a guard allow what this configuration does, and nothing else."""
    guard.allow(
        delivery.allow_networks,
        delivery.allow_http,
        delivery.allow_ports,
        service_ports=delivery.allow_service_ports,
        proxy_resolves=delivery.proxy is not None and delivery.proxy.resolve == "proxy",
    )


def configure_for_issuers(
    guard: EgressGuard, delivery: DeliveryModel, networks: Iterable[str]
) -> None:
    """Has a guard allow what receivers may, and these networks (CIDR) of issuers of tokens. The
    operator names each issuer, so that any port will do."""
    guard.allow(
        [*delivery.allow_networks, *networks],
        delivery.allow_http,
        service_ports=delivery.allow_service_ports,
        proxy_resolves=delivery.proxy is not None and delivery.proxy.resolve == "proxy",
    )


def _plain_name(host: str) -> str:
    """A host as it is compared: an address in its shortest form, a name in lower case."""
    name = host.lower().removesuffix(".")
    try:
        return str(_unwrapped(ip_address(name.partition("%")[0])))
    except ValueError:
        return name


def _is_loopback(host: str) -> bool:
    """Whether a host is an address at which this machine reaches itself."""
    try:
        address = _unwrapped(ip_address(host))
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in _LOOPBACK)


def _internal_name(name: str) -> str | None:
    """Why a name looks internal, which the gateway must not ask a proxy for."""
    first, dot, _ = name.partition(".")
    if not dot:
        return f"{name}: a name without a dot is an internal one, and the proxy would resolve it"
    for domain in (*INTERNAL_DOMAINS, *ADDRESS_DOMAINS):
        if name == domain or name.endswith(f".{domain}"):
            return f"{name}: names below {domain} are internal, and the proxy would resolve it"
    if first in METADATA_LABELS:
        return f"{name}: it looks like a cloud's metadata, and the proxy would resolve it"
    return None


def _special(given: Address) -> str | None:
    """The special network of an address and its purpose; None for a public address."""
    address = _unwrapped(given)
    for network, purpose in _NETWORKS:
        if address.version == network.version and address in network:
            return f"{network}: {purpose}"
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return f"what IPv6 does not use: outside {_GLOBAL_UNICAST}"
    return None


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv6Address) and any(address in network for network in _WRAPS_IPV4):
        return IPv4Address(address.packed[12:])
    return address


def _odd_number(host: str) -> str | None:
    """Refuses IPv4 addresses that are not in dotted form, such as 127.1 or 0x7f000001.

    A host whose last part is a number is an address or invalid (the WHATWG URL standard's "ends in
    a number"). This covers everything that inet_aton accepts, and no top-level domain.
    """
    if ":" in host:
        return None
    last = host.lower().removesuffix(".").rpartition(".")[2]
    if _NUMBER.fullmatch(last) is None:
        return None
    try:
        IPv4Address(host)
    except ValueError:
        return f"{host[:80]}: write the address in its usual form, such as 192.0.2.1"
    return None
