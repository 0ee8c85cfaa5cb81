"""The egress guard: URLs at registration, and addresses at connection, over real sockets."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from event_gateway.cli.process.serve import Running
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.client import Failure, HttpClient, Response, parse_target
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.resolver import Resolver
from event_gateway.transport.special_addresses import BAD_PORTS
from support.client import Client
from support.command import CommandResult
from support.in_process import check
from support.patience import PATIENCE
from support.program import Program
from support.scripted_server import Listening
from support.sending import assert_refused, post

USUAL = "usual form"
HTTP = "use https"

# What is judged, and what is said of it; None: it is let through. An address stands for itself
# when it is dialed, and for https://ADDRESS/ when it is registered.
TABLE: list[tuple[str, str | None]] = [
    # IPv4, range by range, with what lies next to it.
    ("0.0.0.0", "this network"), ("0.255.255.255", "this network"), ("1.0.0.0", None),
    ("9.255.255.255", None), ("10.0.0.0", "private"), ("10.1.2.3", "private"),
    ("10.255.255.255", "private"), ("11.0.0.0", None),
    ("100.63.255.255", None), ("100.64.0.0", "CGNAT"), ("100.127.255.255", "CGNAT"),
    ("100.128.0.0", None),
    ("126.255.255.255", None), ("127.0.0.0", "loopback"), ("127.0.0.1", "loopback"),
    ("127.255.255.255", "loopback"), ("128.0.0.0", None),
    ("169.253.255.255", None), ("169.254.0.0", "link-local"), ("169.254.255.255", "link-local"),
    ("169.255.0.0", None),
    ("172.15.255.255", None), ("172.16.0.0", "private"), ("172.31.255.255", "private"),
    ("172.32.0.0", None),
    ("191.255.255.255", None), ("192.0.0.0", "protocols"), ("192.0.0.9", "protocols"),
    ("192.0.0.170", "protocols"), ("192.0.0.255", "protocols"), ("192.0.1.0", None),
    ("192.0.1.255", None), ("192.0.2.0", "documentation"), ("192.0.2.255", "documentation"),
    ("192.0.3.0", None),
    ("192.31.195.255", None), ("192.31.196.1", "AS112"), ("192.31.197.0", None),
    ("192.52.192.255", None), ("192.52.193.1", "AMT"), ("192.52.194.0", None),
    ("192.88.98.255", None), ("192.88.99.1", "6to4"), ("192.88.100.0", None),
    ("192.167.255.255", None), ("192.168.0.0", "private"), ("192.168.255.255", "private"),
    ("192.169.0.0", None),
    ("192.175.47.255", None), ("192.175.48.1", "AS112"), ("192.175.49.0", None),
    ("198.17.255.255", None), ("198.18.0.0", "benchmarking"), ("198.19.255.255", "benchmarking"),
    ("198.20.0.0", None),
    ("198.51.99.255", None), ("198.51.100.1", "documentation"), ("198.51.101.0", None),
    ("203.0.112.255", None), ("203.0.113.1", "documentation"), ("203.0.114.0", None),
    ("223.255.255.255", None), ("224.0.0.0", "multicast"), ("239.255.255.255", "multicast"),
    ("240.0.0.0", "reserved"), ("255.255.255.255", "reserved"),
    ("8.8.8.8", None), ("1.1.1.1", None), ("93.184.216.34", None),
    # The metadata addresses of clouds, which serve credentials.
    ("169.254.169.254", "link-local"),  # AWS, GCP, Azure, Oracle, DigitalOcean and others
    ("169.254.170.2", "link-local"), ("169.254.170.23", "link-local"),  # AWS: ECS, EKS
    ("fd00:ec2::254", "private"), ("fd00:ec2::23", "private"),  # AWS
    ("fd20:ce::254", "private"),  # GCP
    ("168.63.129.16", "metadata"), ("168.63.129.15", None), ("168.63.129.17", None),  # Azure
    ("100.100.100.200", "CGNAT"),  # Alibaba
    ("192.0.0.192", "protocols"), ("fd00:c1::a9fe:a9fe", "private"),  # Oracle
    ("fe80::a9fe:a9fe", "link-local"),  # OpenStack
    ("169.254.42.42", "link-local"), ("fd00:42::42", "private"),  # Scaleway
    ("::ffff:169.254.169.254", "link-local"), ("64:ff9b::a9fe:a9fe", "link-local"),
    ("2002:a9fe:a9fe::", "6to4"), ("::ffff:0:169.254.169.254", "IPv4-translated"),
    ("::169.254.169.254", "IPv4-compatible"),
    ("https://metadata.google.internal/computeMetadata/v1/", "link-local"),
    ("https://Metadata.Google.Internal./", "link-local"), ("https://metadata.goog/", "link-local"),
    ("https://instance-data.ec2.internal/", "link-local"), ("https://google.internal/", None),
    # IPv6, likewise.
    ("::", "unspecified"), ("::1", "loopback"), ("0:0:0:0:0:0:0:1", "loopback"),
    ("::2", "IPv4-compatible"), ("::8.8.8.8", "IPv4-compatible"),
    ("::1:0:0", "outside 2000::/3"), ("1::", "outside 2000::/3"),
    ("::ffff:0:8.8.8.8", "IPv4-translated"), ("64:ff9b:1::1", "local NAT64"),
    ("64:ff9b:2::1", "outside 2000::/3"), ("100::1", "discard"), ("100:0:0:1::1", "dummy"),
    ("1fff:ffff::", "outside 2000::/3"), ("2000::", None), ("2000:ffff::1", None),
    ("2001::1", "Teredo"), ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
    ("2001:2::1", "protocols"), ("2001:10::1", "protocols"), ("2001:20::1", "protocols"),
    ("2001:1ff:ffff::1", "protocols"), ("2001:200::", None), ("2001:4860:4860::8888", None),
    ("2001:db7:ffff::1", None), ("2001:db8::1", "documentation"),
    ("2001:db8:ffff:ffff::1", "documentation"), ("2001:db9::1", None),
    ("2001:ffff::1", None), ("2002::1", "6to4"), ("2002:7f00:1::", "6to4"),
    ("2002:808:808::1", "6to4"), ("2003::1", None),
    ("2606:4700:4700::1111", None), ("2620:4f:7fff::1", None), ("2620:4f:8000::1", "AS112"),
    ("2620:4f:8001::1", None), ("3ffe:ffff::1", None), ("3fff::1", "documentation"),
    ("3fff:fff:ffff::1", "documentation"), ("3fff:1000::1", None),
    ("4000::1", "outside 2000::/3"), ("5f00::1", "segment routing"),
    ("fbff::1", "outside 2000::/3"), ("fc00::1", "private"), ("fdff:ffff::1", "private"),
    ("fe00::1", "outside 2000::/3"), ("fe80::1", "link-local"), ("febf:ffff::1", "link-local"),
    ("fec0::1", "site-local"), ("feff::1", "site-local"), ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
    # IPv6 around IPv4.
    ("::ffff:127.0.0.1", "loopback"), ("::ffff:7f00:1", "loopback"),
    ("0:0:0:0:0:ffff:10.0.0.1", "private"), ("::FFFF:192.168.0.1", "private"),
    ("::ffff:8.8.8.8", None), ("::ffff:808:808", None),
    ("64:ff9b::127.0.0.1", "loopback"), ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b::8.8.8.8", None), ("64:ff9b::0:0", "this network"),
    # Forms of IPv4 addresses that only some programs accept.
    ("https://2130706433/", USUAL), ("https://017700000001/", USUAL),
    ("https://0x7f000001/", USUAL), ("https://0X7F000001/", USUAL), ("https://0x7f.1/", USUAL),
    ("https://0x7f.0x0.0x0.0x1/", USUAL), ("https://127.1/", USUAL), ("https://127.0.1/", USUAL),
    ("https://0177.0.0.1/", USUAL), ("https://0177.0.0.0x1/", USUAL), ("https://0/", USUAL),
    ("https://127.0.0.1./", USUAL), ("https://127.0.0.01/", USUAL), ("https://08.0.0.1/", USUAL),
    ("https://134744072/", USUAL), ("https://8.8.2056/", USUAL), ("https://8.525320/", USUAL),
    ("https://010.010.010.010/", USUAL), ("https://256.256.256.256/", USUAL),
    ("https://1.2.3.4.5/", USUAL), ("https://4294967296/", USUAL), ("https://evil.1/", USUAL),
    ("https://0x/", USUAL), ("https://example.0x7f/", USUAL), ("https://2852039166/", USUAL),
    ("https://0xa9fea9fe/", USUAL), ("https://0251.0376.0251.0376/", USUAL),
    ("https://169.254.43518/", USUAL), ("https://a.b.1a/", None), ("https://1a.com/", None),
    ("https://3com.com/", None), ("https://0x7f.example/", None),
    # Zones, escapes and brackets.
    ("https://[fe80::1%25eth0]/", "zone"), ("https://[fe80::1%eth0]/", "zone"),
    ("https://[::1%25lo]/", "zone"), ("https://[2606:4700::1%251]/", "zone"),
    ("https://127.0.0.1%00.example/", "zone, or an escaped one"),
    ("https://%31%32%37.0.0.1/", "escaped"), ("https://l%6fcalhost/", "escaped"),
    ("https://[::1]/", "loopback"), ("https://[::1]:8443/", "loopback"),
    ("https://[::1]example.com/", "URL"), ("https://[::1/", "URL"), ("https://::1/", "URL"),
    ("https://[::g]/", "valid URL"), ("https://[v1.a]/", "valid URL"),
    ("https://[127.0.0.1]/", "valid URL"), ("https://[]/", "valid URL"),
    ("https://[2606:4700::1111]:8443/x", None),
    # Names.
    ("https://localhost/", "loopback"), ("https://LOCALHOST/", "loopback"),
    ("https://localhost./", "loopback"), ("https://localhost:8443/", "loopback"),
    ("https://a.localhost/", "loopback"), ("https://a.b.LocalHost./", "loopback"),
    ("https://notlocalhost/", None), ("https://localhost.example/", None),
    ("https://example.com/hook", None), ("https://example.com./", None),
    ("https://xn--bcher-kva.example/", None), ("https://my_service/", None),
    ("https://a..b/", "host name"), ("https://.example.com/", "host name"),
    ("https://exa,mple.com/", "host name"), ("https://127.0.0.1\\.example.com/", "host name"),
    ("https://" + "a" * 64 + ".example/", "host name"),
    ("https://" + "a." * 126 + "a/", None), ("https://" + "a." * 126 + "aa/", "host name"),
    # International names, judged by what goes over the wire.
    ("https://b\u00fccher.example/", None), ("https://B\u00dcCHER.example./", None),
    ("https://m\u00fcller_x.example/", "disallowed"), ("https://a_b.b\u00fccher.example/", None),
    ("https://\uff11\uff12\uff17.0.0.1/", "loopback"),
    ("https://\u2460\u2461\u2466.0.0.1/", "loopback"),
    ("https://127\u30020\u30020\u30021/", "loopback"),
    ("https://127\uff0e0\uff610\uff0e1/", "loopback"),
    ("https://\uff11\uff10.1/", USUAL), ("https://127.0.0.1\u3002/", USUAL),
    ("https://\uff10\uff58\uff17\uff46.1/", USUAL),
    ("https://\uff12\uff11\uff13\uff10\uff17\uff10\uff16\uff14\uff13\uff13/", USUAL),
    ("https://\uff11\uff16\uff19.254.169.254/", "link-local"),
    ("https://169\u3002254\u3002169\u3002254/", "link-local"),
    ("https://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/", "loopback"),
    ("https://localhost\u3002/", "loopback"), ("https://loc\u00adalhost/", "loopback"),
    ("https://local\u200bhost/", "loopback"), ("https://\ufefflocalhost/", "loopback"),
    ("https://a.\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/", "loopback"),
    ("https://loca\u017fhost.example/", None), ("https://\u212aelvin.example/", None),
    ("https://metadata\u3002google\uff0einternal/", "link-local"),
    ("https://local\u200dhost/", "contextj"), ("https://\u200b/", "has no host"),
    ("https://a\u3002\u200b\u3002b/", "host name"), ("https://\u3002example.com/", "host name"),
    ("https://\u202ecom.example/", "not allowed"), ("https://\u0660.example/", "bidi"),
    ("https://a\u0338.example/", None), ("https://\u0338a.example/", "combiner"),
    ("https://\u2603.example/", "not allowed"),
    ("https://a\uff05b.example/", "character that becomes"),
    ("https://a\uff3cb.example/", "character that becomes"), ("https://example.com\uff0fx/", "URL"),
    ("https://example.com\uff20b/", "URL"), ("https://example.com\uff1a22/", "URL"),
    ("https://example\u2100.com/", "URL"), ("https://a\u00a0b/", "character that becomes"),
    ("https://xn--a.example/", "punycode"), ("https://xn--/", "punycode"),
    ("https://XN--A-.example/", "punycode"), ("https://xn--localhost-/", "punycode"),
    ("https://xn--b\u00fccher-kva.example/", "hyphen"),
    ("https://xn--99999999.example/", "punycode"), ("https://xn--1ca.example/", None),
    ("https://xn--i-7iq.example/", None), ("https://xn--mgba3a4f16a.example/", None),
    ("https://" + "\u00e9" * 64 + ".example/", "label too long"),
    ("https://" + "\u00e9" * 1100 + ".example/", "longer than 1024"),
    ("https://" + "\u00e9." * 60 + "example/", "host name"), ("https://[\uff1a:1]/", "URL"),
    ("https://[::\uff11]/", "URL"), ("https://example.com/\u00fc", "percent-encode"),
    ("https://example.com/?\u00fc", "percent-encode"),
    # Schemes, ports, and other parts that are refused.
    ("http://example.com/", HTTP), ("http://8.8.8.8/", HTTP), ("http://10.0.0.1/", "private"),
    ("HTTPS://EXAMPLE.COM/", None), ("HTTP://EXAMPLE.COM/", HTTP),
    ("ftp://example.com/", "http"), ("file:///etc/passwd", "http"), ("gopher://x:70/_", "http"),
    ("dict://x:11211/", "http"), ("unix:///run/x.sock", "http"), ("example.com", "http"),
    ("//example.com/", "http"), ("https:/example.com/", "host"), ("https:///x/", "host"),
    ("https://example.com:8443/", None), ("https://example.com:65535/", None),
    ("https://example.com:/", None), ("https://example.com:0/", "port"),
    ("https://example.com:22/", "port 22"), ("https://example.com:25/", "port 25"),
    ("https://example.com:6000/", "port 6000"), ("https://example.com:6667/", "port 6667"),
    ("https://example.com:10080/", "port 10080"), ("https://8.8.8.8:53/", "port 53"),
    ("https://example.com:80:443/", "URL"), ("https://example.com:65536/", "URL"),
    ("https://example.com:4\uff14\uff13/", "URL"), ("https://example.com:+443/", "URL"),
    ("https://user:pw@example.com/", "credentials"), ("https://user@example.com/", "credentials"),
    ("https://@example.com/", "credentials"), ("https://example.com\\@127.0.0.1/", "credentials"),
    ("https://127.0.0.1@example.com/", "credentials"),
    ("https://example.com/#a", "fragment"), ("https://example.com/#", "fragment"),
    ("https://example.com#@127.0.0.1/", "fragment"), ("https://example.com/?a=@b", None),
    ("https://example.com/\n", "control"), ("https://exam\nple.com/", "control"),
    ("https://example.com/\r\nx: y", "control"), ("https://example.com/ x", "space"),
    (" https://example.com/", "space"), ("https://example.com/\t", "control"),
    ("https://example.com/\0", "control"), ("https://example.com/\x7f", "control"),
]  # fmt: skip


def test_the_table_has_many_different_entries() -> None:
    judged = [text for text, _ in TABLE]
    assert len(set(judged)) == len(judged)
    assert sum(message is not None for _, message in TABLE) >= 150
    assert sum(message is None for _, message in TABLE) >= 50


@pytest.mark.parametrize(("text", "message"), TABLE, ids=[ascii(text) for text, _ in TABLE])
def test_refused_and_allowed_addresses(text: str, message: str | None) -> None:
    guard = EgressGuard()
    url = _url(text)
    if url != text:
        _is_said(guard.refuses(text, 443, "https"), message)
    _is_said(guard.refuses_url(url), message)


def _url(text: str) -> str:
    try:
        version = ipaddress.ip_address(text).version
    except ValueError:
        return text
    return f"https://[{text}]/" if version == 6 else f"https://{text}/"


def _is_said(reason: str | None, message: str | None) -> None:
    assert (reason is None) == (message is None), reason
    assert message is None or message in str(reason)


async def test_a_refused_address_is_not_dialed() -> None:
    """The client refuses the same URLs, without resolving a name."""

    def look(host: str) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    sender = HttpClient(EgressGuard(), resolver=Resolver(look))
    urls = []
    for text, message in TABLE:
        if message not in (None, HTTP, "valid URL", "URL"):
            with contextlib.suppress(ValueError):
                parse_target(_url(text))  # a refused webhook is not created
                urls.append(_url(text))
    results = await asyncio.gather(*(post(sender, url) for url in urls))
    assert len(results) > 120
    for url, result in zip(urls, results, strict=True):
        assert isinstance(result, Failure), url
        assert result.error_type == AttemptErrorType.EGRESS_REFUSED, (url, result)
    await sender.close()


@given(st.ip_addresses())
def test_no_address_passes_that_python_calls_special(address: ipaddress.IPv4Address) -> None:
    reason = EgressGuard().refuses(str(address), 443, "https")
    inner = getattr(address, "ipv4_mapped", None) or address
    if not inner.is_global or inner.is_multicast:
        assert reason is not None


NUMBERS = st.integers(0, 2**32 - 1).flatmap(
    lambda n: st.sampled_from([str(n), hex(n), f"0{n:o}", str(n % 256), f"{n % 256:03}"])
)


@given(st.lists(NUMBERS, min_size=1, max_size=4), st.sampled_from(["", "."]))
def test_an_address_is_written_as_usual_or_refused(parts: list[str], end: str) -> None:
    host = ".".join(parts) + end
    reason = EgressGuard(["0.0.0.0/0"]).refuses_url(f"https://{host}/")
    try:
        usual = socket.inet_ntoa(socket.inet_aton(host)) == host
    except OSError:
        usual = False
    assert (reason is None) == usual
    assert usual or USUAL in str(reason)


def test_allowed_networks_ports_and_http() -> None:
    guard = EgressGuard(["10.0.0.0/8", "::1/128", "127.0.0.1/32", "64:ff9b:1::/48", "2002::/16"])
    for address in ("10.9.9.9", "::ffff:10.9.9.9", "64:ff9b::a09:909", "::1", "64:ff9b:1::a00:1",
                    "2002:7f00:1::", "127.0.0.1"):  # fmt: skip
        assert guard.refuses(address, 80, "http") is None, address
    for address in ("127.0.0.2", "fd00::1", "::ffff:127.0.0.2", "169.254.169.254", "::2"):
        assert guard.refuses(address, 443, "https"), address
    assert HTTP in str(guard.refuses("8.8.8.8", 80, "http"))
    wrapping = EgressGuard(["::ffff:0:0/96"])
    assert wrapping.refuses("::ffff:10.0.0.1", 443, "https") is None
    assert wrapping.refuses("10.0.0.1", 443, "https")
    # A name may lead to an allowed network: whether it does is seen when it is dialed.
    assert guard.refuses_url("http://crm/") is None
    assert guard.refuses_url("http://localhost:8080/") is None
    assert HTTP in str(guard.refuses_host("crm.example.com", 80, "http", resolved=False))
    for url in ("http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/"):
        assert USUAL in str(guard.refuses_url(url)), url
    assert "ftp" not in str(guard.refuses("10.0.0.1", 21, "https"))
    assert EgressGuard(["169.254.169.254/32"]).refuses_url("https://metadata.goog/") is None

    open_ = EgressGuard(allow_http=True)
    assert open_.refuses_url("http://example.com/") is None
    assert open_.refuses("8.8.8.8", 80, "http") is None
    assert open_.refuses("10.0.0.1", 80, "http")
    assert open_.refuses("8.8.8.8", 80, "ftp")

    listed = EgressGuard(["10.0.0.0/8"], allow_ports=[443, 25])
    assert listed.refuses_url("https://example.com/") is None
    assert listed.refuses_url("https://example.com:25/") is None
    for url in ("https://example.com:8443/", "http://10.0.0.1/", "https://localhost:8443/"):
        assert "delivery.allow_ports" in str(listed.refuses_url(url)), url
    assert len(BAD_PORTS) == 83
    for port in BAD_PORTS:
        assert EgressGuard(["10.0.0.0/8"]).refuses("10.0.0.1", port, "https"), port


# What is dialed. 127.0.0.1 and ::1 are the network that is allowed here, 127.0.0.2 is not.
ALLOWED = ("127.0.0.1/32", "::1/128")


@contextlib.asynccontextmanager
async def sending(
    look: Any, networks: Iterable[str] = ALLOWED, **allow: Any
) -> AsyncIterator[HttpClient]:
    sender = HttpClient(EgressGuard(networks, **allow), resolver=Resolver(look))
    yield sender
    await sender.close()


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"], ["::ffff:127.0.0.2", "::1"],
     ["127.0.0.2"] * 9 + ["127.0.0.1"]],
)  # fmt: skip
async def test_only_the_allowed_addresses_of_a_name_are_tried(answers: list[str]) -> None:
    async with (
        Listening().on("127.0.0.1", "127.0.0.2", "::1") as there,
        sending(lambda host: answers) as sender,
    ):
        for _ in range(2):
            result = await post(sender, f"http://crm:{there.port}/")
            assert isinstance(result, Response), result
            sender.renew(None)
        assert (sum(there.connections.values()), there.connections["127.0.0.2"]) == (2, 0)
        assert_refused(await post(sender, "http://crm:25/"), "port 25")


async def test_a_name_without_an_allowed_address_is_refused() -> None:
    async with (
        Listening().on("127.0.0.2") as there,
        sending(lambda host: ["127.0.0.2", "10.0.0.1"]) as sender,
    ):
        url = f"http://crm:{there.port}/"
        assert_refused(await post(sender, url), "127.0.0.2 is in 127.0.0.0/8")
        assert there.connections == {"127.0.0.2": 0}


async def test_a_failure_names_the_addresses_that_were_not_tried() -> None:
    """Where nobody listens at the allowed address, the refused one is not tried either."""
    async with (
        Listening().on("127.0.0.2") as there,
        sending(lambda host: ["127.0.0.2", "127.0.0.1"]) as sender,
    ):
        result = await post(sender, f"http://crm:{there.port}/")
        assert isinstance(result, Failure)
        assert (result.error_type, result.message) == (
            AttemptErrorType.CONNECTION_REFUSED,
            f"crm:{there.port} refused (not tried: 127.0.0.2, which the guard refuses)",
        )
        assert there.connections == {"127.0.0.2": 0}


@pytest.mark.parametrize("answers", [["127.0.0.1", "::1"], ["::1"], ["::ffff:127.0.0.1"]])
async def test_a_name_with_only_allowed_addresses_is_dialed(answers: list[str]) -> None:
    async with (
        Listening().on("127.0.0.1", "::1") as there,
        sending(lambda host: answers) as sender,
    ):
        result = await post(sender, f"http://crm:{there.port}/")
        assert isinstance(result, Response), result
        assert sum(there.connections.values()) == 1


async def test_the_checked_address_is_dialed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with another address at each look-up: the second address is refused."""
    monkeypatch.setattr("event_gateway.transport.resolver.CACHED", 0.01)
    lookups: list[str] = []

    def look(host: str) -> list[str]:
        lookups.append("127.0.0.2" if len(lookups) % 2 else "127.0.0.1")
        return [lookups[-1]]

    def nothing_else(*_: Any, **__: Any) -> Any:
        raise AssertionError("looked up once more")

    async with Listening().on("127.0.0.1", "127.0.0.2") as there, sending(look) as sender:
        monkeypatch.setattr(socket, "getaddrinfo", nothing_else)
        url = f"http://rebinding:{there.port}/"
        assert isinstance(await post(sender, url), Response)
        assert lookups == ["127.0.0.1"], "looked up again between the check and the connection"
        sender.renew(None)  # so that the next request dials
        async with asyncio.timeout(PATIENCE):
            while isinstance(result := await post(sender, url), Response):
                sender.renew(None)
        assert_refused(result, "127.0.0.2")
        assert there.connections["127.0.0.1"] >= 1
        assert there.connections["127.0.0.2"] == 0


async def test_addresses_and_special_names_are_refused_without_a_look_up() -> None:
    lookups: list[str] = []

    def look(host: str) -> list[str]:
        lookups.append(host)
        return ["127.0.0.1"]

    async with (
        Listening().on("127.0.0.1", "127.0.0.2") as there,
        sending(look) as sender,
        sending(look, ()) as closed,
    ):
        for host, text in (
            ("127.0.0.2", "loopback"), ("127.1", USUAL), ("2130706433", USUAL), ("0x7f.1", USUAL),
            ("0177.0.0.1", USUAL), ("[::ffff:127.0.0.2]", "loopback"), ("[::1%25lo]", "zone"),
            ("metadata.goog", "link-local"), ("127.0.0.1.", USUAL), ("a,b", "host name"),
        ):  # fmt: skip
            assert_refused(await post(sender, f"http://{host}:{there.port}/"), text)
        for host in ("localhost", "any.localhost", "127.0.0.1", "[::1]"):
            assert_refused(await post(closed, f"https://{host}:{there.port}/"), "loopback")
        assert_refused(await post(sender, "http://127.0.0.1:25/"), "port 25")
        assert_refused(await post(closed, f"http://crm:{there.port}/"), HTTP)
        assert not lookups
        assert set(there.connections.values()) == {0}
        assert isinstance(await post(sender, f"http://localhost:{there.port}/"), Response)


async def test_http_is_for_allowed_networks_and_ports_are_listed() -> None:
    def look(host: str) -> list[str]:
        return ["127.0.0.1", "198.41.0.4"] if host == "mixed" else ["127.0.0.1"]

    async with Listening().on("127.0.0.1") as there, sending(look) as sender:
        assert isinstance(await post(sender, f"http://crm:{there.port}/"), Response)
        # Plain http goes to the allowed network alone, and not to the public address.
        assert isinstance(await post(sender, f"http://mixed:{there.port}/"), Response)
    async with Listening().on("127.0.0.1") as there:
        async with sending(look, allow_ports=[443, there.port]) as sender:
            assert isinstance(await post(sender, f"http://crm:{there.port}/"), Response)
        async with sending(look, allow_ports=[443]) as sender:
            assert_refused(await post(sender, f"http://crm:{there.port}/"), "delivery.allow_ports")
        assert there.connections["127.0.0.1"] == 1


# WebhookRegistration.

WEBHOOK = {"url": "https://example.com/", "events": ["user.*"]}
REFUSED_URLS = [
    ("https://10.0.0.1/", "private"), ("https://169.254.169.254/latest/", "link-local"),
    ("https://[::1]/", "loopback"), ("https://2130706433/", USUAL), ("http://example.com/", None),
    ("https://localhost/", None), ("https://example.com:22/", "port 22"),
    ("https://u:hunter2@example.com/", "credentials"), ("https://example.com/#x", "fragment"),
    ("https://u:hunter2/", "not a valid URL"), ("https://example.com/\n", "control"),
]  # fmt: skip
REFUSED_HEADERS = [
    {"x": "a\nb"}, {"x": "a\rb"}, {"x": "a\r\nb: c"}, {"x": "a\0"}, {"x": "\x7f"}, {"x": "a\tb"},
    {"x": "\u2028"}, {"x\n": "a"}, {"x\r\ny": "a"}, {"x:": "a"}, {"": "a"}, {"x y": "a"},
    {"Host": "a"}, {"Connection": "x"}, {"Transfer-Encoding": "chunked"}, {"TE": "trailers"},
    {"Authorization": "Bearer hunter2"}, {"proxy-authorization": "Basic hunter2"},
]  # fmt: skip


async def test_urls_that_the_api_refuses(client: Client) -> None:
    # Loopback is allowed here, and http with it.
    webhook = await client.webhook(id="kept", **WEBHOOK)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"url": url}, "url") for url, text in REFUSED_URLS if text and "[::1]" not in url
    ]
    wrong += [({"url": url}, "url") for url in ("http://8.8.8.8/", "https://127.1/")]
    wrong += [({"headers": refused_header}, "headers") for refused_header in REFUSED_HEADERS]
    for change, key in wrong:
        for method, path in (("POST", ""), ("PUT", "/kept"), ("PATCH", "/kept")):
            body = change if method == "PATCH" else WEBHOOK | change | {"id": path[1:] or "new"}
            answer = await client.http.request(method, f"/v1/webhooks{path}", json=body)
            assert answer.status_code == 422, (method, body)
            assert answer.json()["detail"].startswith(key), answer.text
            if "hunter2" in str(change):
                assert "hunter2" not in answer.text
    (kept,) = (await client.http.get("/v1/webhooks")).json()["items"]
    assert kept | {"warnings": webhook["warnings"]} == webhook
    for url in ("http://127.0.0.1:8080/", "http://crm/", "https://[2606:4700::1111]/"):
        answer = await client.http.patch("/v1/webhooks/kept", json={"url": url})
        assert answer.status_code == 200, url


@pytest.mark.parametrize(("url", "message"), REFUSED_URLS)
def test_urls_that_check_refuses(tmp_path: Path, url: str, message: str | None) -> None:
    config: dict[str, Any] = {"webhooks": {"w": WEBHOOK | {"url": url}}}
    done = _check(tmp_path, config)
    assert (done.status, done.out) == (2, ""), done.out
    (line,) = done.err.splitlines()
    assert line.startswith(f"{tmp_path / 'gateway.yaml'}:5: webhooks.w.url: "), line
    assert message is None or message in line
    assert "hunter2" not in line


def test_check_uses_the_delivery_section_of_the_file(tmp_path: Path) -> None:
    urls = {"a": "http://127.0.0.1:8080/", "b": "https://10.0.0.1/", "c": "http://example.com/"}
    webhooks = {name: WEBHOOK | {"url": url} for name, url in urls.items()}

    def refused_with(**delivery: Any) -> list[str]:
        done = _check(tmp_path, {"webhooks": webhooks, "delivery": delivery})
        if done.status == 0:
            return []  # with warnings only
        return [line.split(": ")[1] for line in done.err.splitlines()]

    url = "webhooks.{}.url".format
    assert refused_with() == [url("a"), url("b"), url("c")]
    assert refused_with(allow_networks=["127.0.0.0/8"]) == [url("b")]
    assert refused_with(allow_networks=["127.0.0.0/8", "10.0.0.0/8"]) == []
    assert refused_with(allow_http=True) == [url("a"), url("b")]
    assert refused_with(allow_networks=["0.0.0.0/0"], allow_ports=[443]) == [url("a"), url("c")]
    # If the section itself is invalid, only that is reported.
    assert refused_with(allow_networks=["10.0.0.1/8"]) == ["delivery.allow_networks"]
    assert refused_with(allow_ports=[70000]) == ["delivery.allow_ports[0]"]
    assert refused_with(allow_http="yes") == ["delivery.allow_http"]


@pytest.mark.parametrize("headers", REFUSED_HEADERS[:6] + REFUSED_HEADERS[-2:])
def test_headers_in_the_file(tmp_path: Path, headers: dict[str, str]) -> None:
    done = _check(tmp_path, {"webhooks": {"w": WEBHOOK | {"headers": headers}}})
    assert done.status == 2
    (line,) = done.err.splitlines()
    assert "webhooks.w.headers." in line
    assert "hunter2" not in line


def _check(tmp_path: Path, config: dict[str, Any]) -> CommandResult:
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(config))
    return check(path)


async def test_the_program_does_not_start_with_a_refused_url(tmp_path: Path) -> None:
    program = Program(tmp_path, {"webhooks": {"w": WEBHOOK | {"url": "https://10.0.0.1/"}}})
    assert await program.start_fails() == 2
    assert "gateway.yaml:5: webhooks.w.url: 10.0.0.1 is in 10.0.0.0/8" in program.last_line


async def test_a_registered_webhook_that_is_no_longer_allowed_fails(
    gateway: Running, client: Client, receiver: Any
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    gateway.gateway.stages.requests.guard.allow()
    came = (await client.http.post("/v1/webhooks/w/test")).json()
    assert came["error_type"] == "EgressRefused"
    assert not receiver.requests


@pytest.mark.parametrize(
    "port",
    [
        22,
        25,
        2375,
        2376,
        2379,
        3306,
        4222,
        4243,
        5432,
        6379,
        7687,
        8009,
        8091,
        8123,
        9200,
        10250,
        11211,
        27017,
        61616,
    ],
)
def test_ports_of_internal_services_are_refused_unless_they_are_listed(port: int) -> None:
    opened = EgressGuard(["10.0.0.0/8"])
    for url in (f"http://10.1.2.3:{port}/", f"https://es.example.com:{port}/"):
        assert f"port {port} is" in str(opened.refuses_url(url)), url
    assert f"port {port} is" in str(opened.refuses("10.1.2.3", port, "http"))
    listed = EgressGuard(["10.0.0.0/8"], allow_service_ports=[port])
    assert listed.refuses("10.1.2.3", port, "http") is None
    assert listed.refuses_url("https://example.com/") is None  # and all others as before
    assert EgressGuard(["10.0.0.0/8"], allow_ports=[port]).refuses("10.1.2.3", port, "http") is None
    assert opened.refuses("10.1.2.3", 8080, "http") is None


def test_an_answer_lasts_until_something_else_is_allowed() -> None:
    guard = EgressGuard()
    for _ in range(2):  # the second one is remembered
        assert "private" in (guard.refuses("10.1.2.3", 443, "https") or "")
        assert "private" in (guard.refuses_host("10.1.2.3", 443, "https") or "")
    guard.allow(["10.0.0.0/8"])
    assert guard.refuses("10.1.2.3", 443, "https") is None
    assert guard.refuses_host("10.1.2.3", 443, "https") is None
    guard.allow()
    assert "private" in (guard.refuses("10.1.2.3", 443, "https") or "")


def test_the_gateways_own_servers_are_always_refused() -> None:
    own = [("127.0.0.1", 31000), ("10.0.0.5", 4222), ("Redis.internal", 6379)]
    ports = [port for _, port in own]
    guard = EgressGuard(
        ["0.0.0.0/0", "::/0"], True, ports, allow_service_ports=ports, own_servers=own
    )
    for host in ("127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]",
                 "0.0.0.0", "[::]"):  # fmt: skip
        assert "the gateway itself" in str(guard.refuses_url(f"http://{host}:31000/")), host
    for address in ("127.0.0.1", "::1", "::ffff:7f00:1", "0.0.0.0"):
        assert "the gateway itself" in str(guard.refuses(address, 31000, "http")), address
    assert "the gateway itself" in str(guard.refuses("::ffff:10.0.0.5", 4222, "http"))
    assert "the gateway itself" in str(guard.refuses_url("http://redis.INTERNAL.:6379/"))
    assert guard.refuses("10.0.0.5", 6379, "http") is None
    assert guard.refuses("127.0.0.1", 4222, "http") is None


INTERNAL = (
    "localhost", "crm", "CRM.", "a.localhost", "printer.local", "Printer.LOCAL.", "api.internal",
    "metadata", "metadata.example.com", "Metadata-Server.example.com", "metadata.google.internal",
    "metadata.goog", "instance-data.ec2.internal", "kubernetes.default.svc", "x.svc.cluster.local",
    "db.corp", "nas.home.arpa", "router.lan", "host.localdomain", "127.0.0.1.nip.io",
    "10-0-0-1.sslip.io", "localtest.me", "app.localtest.me", "127.0.0.1", "127.1", "0x7f000001",
    "2130706433", "10.0.0.1", "[::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "169.254.169.254",
)  # fmt: skip


@pytest.mark.parametrize("host", INTERNAL)
async def test_names_that_look_internal_are_not_for_a_proxy_to_resolve(
    host: str, tmp_path: Path
) -> None:
    guard = EgressGuard(allow_http=True, proxy_resolves=True)
    for scheme in ("http", "https"):
        assert guard.refuses_url(f"{scheme}://{host}/"), host
    path = tmp_path / "gateway.yaml"
    delivery = {"allow_http": True, "proxy": {"url": "http://127.0.0.1:9", "resolve": "proxy"}}
    webhook = {"url": f"https://{host}/", "events": ["a"]}
    path.write_text(yaml.safe_dump({"delivery": delivery, "webhooks": {"w": webhook}}))
    assert check(path).status == 2


def test_other_names_are_for_a_proxy_to_resolve() -> None:
    guard = EgressGuard(proxy_resolves=True)
    for host in ("example.com", "local.example.com", "internal.example.com", "a.b.c.dev",
                 "localhost.example.com", "meta.data.com", "8.8.8.8", "home.co",
                 "metadata-api.example.com", "instance-database.example.com"):  # fmt: skip
        assert guard.refuses_url(f"https://{host}/") is None, host
