"""What reverse proxies say of their clients, as proxies write it and as attackers do."""

import contextlib
from urllib.parse import quote

import pytest

from event_gateway.api.http.peer import Peer
from event_gateway.core.access.client_certificate import UnreadableCertificate
from event_gateway.core.access.forwarded import MAX_READ, AddressHeader, Client, Header
from event_gateway.core.access.forwarded_certificate import forwarded_certificate
from event_gateway.core.access.trusted_proxies import TrustedProxies
from event_gateway.core.text.addresses import is_loopback
from support.certificates import IssuedFiles
from support.limited_work import limited_work

PROXY = Client("10.0.0.1", "http")


def _proxies(header: AddressHeader = "x-forwarded-for") -> TrustedProxies:
    return TrustedProxies(["10.0.0.0/8", "fd00::/8"], header, True)


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["1.2.3.4"], "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4, 10.0.0.9"], "1.2.3.4"),  # 6.6.6.6 is what the client has sent
        (["6.6.6.6", "1.2.3.4 , 10.0.0.9", "10.0.0.8"], "1.2.3.4"),
        (["10.0.0.2, 10.0.0.3"], "10.0.0.2"),  # a client inside
        (["2001:db8::1"], "2001:db8::1"),
        (["[2001:db8::1]:443"], "2001:db8::1"),
        (["6.6.6.6, 2001:DB8:0::1, fd00::2"], "2001:db8::1"),
        (["1.2.3.4:5678"], "1.2.3.4"),
        (["::ffff:1.2.3.4"], "1.2.3.4"),
        ([",, 1.2.3.4 ,"], "1.2.3.4"),
        (["6.6.6.6, unknown, 10.0.0.3"], "10.0.0.3"),
        (["6.6.6.6, _hidden"], "10.0.0.1"),
        (["6.6.6.6, 999.1.1.1"], "10.0.0.1"),
        (["6.6.6.6, fe80::1%eth0"], "10.0.0.1"),
        (["6.6.6.6, " + "1" * 5000], "10.0.0.1"),
        (["6.6.6.6" + " " * MAX_READ], "10.0.0.1"),
        ([""], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_x_forwarded_for_is_read_from_the_right(lines: list[str], address: str) -> None:
    headers = [(b"x-forwarded-for", line.encode()) for line in lines]
    headers.append((b"forwarded", b"for=7.7.7.7"))  # not configured: as the client has sent it
    assert _proxies().client(PROXY, headers).address == address


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["for=192.0.2.43;proto=https"], ("192.0.2.43", "https")),
        (['For="[2001:db8:cafe::17]:4711";by=_x;PROTO=https'], ("2001:db8:cafe::17", "https")),
        (["for=6.6.6.6, for=1.2.3.4;proto=https, for=10.2.3.4"], ("1.2.3.4", "https")),
        (["for=6.6.6.6", 'for="1.2.3.4:80"'], ("1.2.3.4", "http")),
        (['for="a, for=1.2.3.4'], ("1.2.3.4", "http")),  # a quote that the client left open
        (['for="a\\", for=1.2.3.4'], ("1.2.3.4", "http")),
        (['x="6.6.6.6, for=5.5.5.5", for=1.2.3.4'], ("1.2.3.4", "http")),
        (['for="1.2.3\\.4"'], ("1.2.3.4", "http")),
        (["for=6.6.6.6, for=_gazonk;proto=https"], ("10.0.0.1", "http")),
        (["for=6.6.6.6, proto=https"], ("10.0.0.1", "http")),
        (["for=6.6.6.6, nonsense"], ("10.0.0.1", "http")),
        (["for=1.2.3.4;proto=gopher"], ("1.2.3.4", "http")),
    ],
)
def test_forwarded_is_read_from_the_right(lines: list[str], client: tuple[str, str]) -> None:
    headers = [(b"forwarded", line.encode()) for line in lines]
    headers.append((b"x-forwarded-for", b"7.7.7.7"))
    assert _proxies("forwarded").client(PROXY, headers) == client


def test_only_proxies_that_are_trusted_are_believed() -> None:
    headers: list[Header] = [
        (b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-proto", b"gopher, HTTPS"),
        (b"x-forwarded-client-cert", b"Hash=ab"),
    ]  # fmt: skip
    proxies = _proxies()
    assert proxies.client(PROXY, headers) == ("1.2.3.4", "https")
    assert Peer("10.0.0.1", proxies=proxies).certificate(headers) is not None
    for stranger in ("9.9.9.9", "2001:db8::1", "", "/run/socket"):
        peer = Client(stranger, "http")
        assert proxies.client(peer, headers) is peer
        assert Peer(stranger, proxies=proxies).certificate(headers) is None
    proxies.configure(["9.9.9.9/32"], "x-forwarded-for", False)
    assert proxies.client(PROXY, headers) == PROXY
    assert proxies.client(Client("9.9.9.9", "http"), headers).address == "1.2.3.4"
    assert Peer("9.9.9.9", proxies=proxies).certificate(headers) is None


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-forwarded-client-cert"])
@pytest.mark.parametrize("text", ['"', "\\", ",", ";", "=", '\\"', "for=10.1.1.1,", 'a="', " "])
def test_hostile_headers_cost_little(name: str, text: str) -> None:
    headers = [(name.encode(), (text * (256 * 1024 // len(text))).encode())]
    proxies = _proxies("forwarded" if name == "forwarded" else "x-forwarded-for")
    with limited_work():
        assert proxies.client(PROXY, headers).address.startswith("10.")
        with contextlib.suppress(UnreadableCertificate):
            assert forwarded_certificate(headers) is None


def _certificate(*lines: str) -> object:
    return forwarded_certificate([(b"x-forwarded-client-cert", line.encode()) for line in lines])


def test_a_forwarded_certificate_is_that_of_the_last_proxy() -> None:
    found = forwarded_certificate([(
        b"x-forwarded-client-cert",
        b'Hash=aa;URI=spiffe://evil,By=spiffe://me;Hash=AB12;Subject="CN=a\\,b,O=x";URI="spiffe://x'
        b'";DNS=a.test;DNS=b.test',
    )])  # fmt: skip
    assert found is not None
    assert (found.subject, found.fingerprint) == ("CN=a\\,b,O=x", "ab12")
    assert (found.uris, found.dns) == (("spiffe://x",), ("a.test", "b.test"))
    assert _certificate("Hash=aa", 'By=me;Subject="";URI=') is None
    assert _certificate() is None
    for damaged in (
        "Hash=a;Hash=b",
        "Hash",
        'Subject="CN=a',
        "Cert=nonsense",
        "Hash=" + "a" * 20000,
    ):
        with pytest.raises(UnreadableCertificate):
            _certificate(damaged)


def test_the_certificate_itself_goes_before_what_is_said_of_it(issued: IssuedFiles) -> None:
    pem = issued.issue("alice")[0].read_text()
    found = forwarded_certificate([
        (b"x-forwarded-client-cert", f'Subject="CN=bob";Cert="{quote(pem, safe="")}"'.encode()),
    ])  # fmt: skip
    assert found is not None
    assert found.subject == "CN=alice"
    assert found.expires_at is not None
    assert len(found.fingerprint) == 64


def test_which_hosts_are_reached_from_this_machine_alone() -> None:
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com"):
        assert not is_loopback(host)
