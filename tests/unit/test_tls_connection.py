"""The transport of TLS, against OpenSSL's client, with bytes that arrive in any pieces."""

import asyncio
import contextlib
import random
import ssl
from pathlib import Path
from typing import Any

import pytest

from event_gateway.api.http.refusal import Refusal
from event_gateway.api.http.server_tls import ServerTls, load_tls
from event_gateway.api.http.tls_connection import MAX_UNREAD, PIECE, TlsConnection
from event_gateway.config.server_model import TlsModel
from event_gateway.core.access.client_certificate import certificate_from_der
from support.certificates import IssuedFiles


class _Below(asyncio.Transport):
    """Notes what is written; ``waiting``: bytes that nobody has read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.waiting = 0
        self.closing = self.aborted = self.ended = self.paused = False

    def write(self, data: Any) -> None:
        assert not self.ended
        self.written += data

    def take(self) -> bytes:
        data, self.written = bytes(self.written), bytearray()
        return data

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default


class _Above(asyncio.Protocol):
    """Keeps what it receives; ``reads_on``: after the client has ended."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.reads_on = False
        self.ends = 0
        self.lost = 0
        self.refusals: list[Refusal] = []

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.ends += 1
        return self.reads_on

    def connection_lost(self, error: Exception | None) -> None:
        self.lost += 1

    def refuse(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)


class _Pair:
    """A client of OpenSSL and the gateway's end, without a network."""

    def __init__(self, directory: Path, client: ssl.SSLContext, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.above, self.below = _Above(), _Below()
        self.failures: list[tuple[str, str, str]] = []
        context = load_tls(TlsModel(cert="server.pem", key="server.key"), directory).context
        self.end = TlsConnection(
            lambda: context, self.above, lambda *failure: self.failures.append(failure)
        )
        self.end.connection_made(self.below)
        self.to_client, self.from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(self.to_client, self.from_client, server_hostname="localhost")
        self.got = bytearray()

    def exchange(self) -> None:
        """Carries bytes both ways, in pieces, until there are none."""
        while True:
            sent, answered = self.from_client.read(), self.below.take()
            if not sent and not answered:
                return
            while sent:
                size = self.random.choice((1, 5, 100, 20_000))
                self.end.data_received(sent[:size])
                sent = sent[size:]
            self.to_client.write(answered)
            self._read()

    def _read(self) -> None:
        try:
            self.client.do_handshake()
            while data := self.client.read(65536):
                self.got += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            pass

    def shake_hands(self) -> None:
        """Completes the handshake."""
        self._read()
        self.exchange()


@pytest.fixture
async def pair(issued: IssuedFiles) -> _Pair:
    return _Pair(issued.directory, issued.client())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("seed", range(3))
async def test_bytes_arrive_whole_in_whatever_pieces(
    issued: IssuedFiles, version: ssl.TLSVersion, seed: int
) -> None:
    client = issued.client()
    client.maximum_version = version
    pair = _Pair(issued.directory, client, seed)
    pair.end.write(b"before ")  # the handshake is not done: it waits
    pair.shake_hands()
    sent = pair.random.randbytes(70_000)
    answer = pair.random.randbytes(70_000)
    for at in range(0, len(sent), 7_000):
        pair.client.write(sent[at : at + 7_000])
        pair.end.writelines([answer[at : at + 7_000]])
        if pair.random.random() < 0.3:
            pair.end.pause_reading()
            pair.exchange()
            pair.end.resume_reading()
            await asyncio.sleep(0)
    pair.exchange()
    await asyncio.sleep(0)
    pair.exchange()
    assert bytes(pair.above.received) == sent
    assert bytes(pair.got) == b"before " + answer
    assert pair.client.version() == version.name.replace("_", ".")


async def test_nothing_is_delivered_while_reading_is_paused(pair: _Pair) -> None:
    pair.shake_hands()
    pair.end.pause_reading()
    pair.client.write(b"later")
    pair.exchange()
    assert pair.below.paused
    assert not pair.above.received
    pair.end.resume_reading()
    assert not pair.above.received  # not from within the call
    await asyncio.sleep(0)
    assert pair.above.received == b"later"


async def test_each_direction_ends_by_itself(pair: _Pair) -> None:
    pair.shake_hands()
    pair.above.reads_on = True
    pair.client.write(b"request")
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.exchange()
    assert (bytes(pair.above.received), pair.above.ends) == (b"request", 1)
    assert not pair.below.closing
    pair.end.write(b"answer")
    pair.exchange()
    assert pair.got == b"answer"
    pair.end.close()
    assert pair.below.closing
    assert pair.below.take()  # the end of the gateway's direction


async def test_after_its_own_end_the_gateway_counts_bytes_and_decrypts_none(pair: _Pair) -> None:
    pair.shake_hands()
    pair.end.write(b"refused")
    pair.end.write_eof()
    pair.exchange()
    assert pair.got == b"refused"
    assert pair.below.ended
    pair.client.write(b"x" * 1000)
    pair.exchange()
    assert len(pair.above.received) > 1000
    pair.end.write(b"no more")  # counts for nothing
    assert not pair.below.take()


async def test_a_client_that_ends_without_saying_so_is_closed(pair: _Pair) -> None:
    assert pair.end.eof_received() is False  # in the handshake
    pair.shake_hands()
    assert pair.end.eof_received() is False
    assert pair.above.ends == 1
    pair.below.close()
    pair.end.connection_lost(None)
    assert pair.above.lost == 1
    pair.end.write(b"late")
    pair.end.close()
    assert pair.end.get_extra_info("peercert") is None


async def test_what_follows_the_end_of_the_client_is_not_kept(pair: _Pair) -> None:
    pair.shake_hands()
    pair.above.reads_on = True
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.exchange()
    for _ in range(10):
        pair.end.data_received(b"x" * 100_000)
    assert pair.end._incoming.pending == 0
    assert (pair.above.ends, pair.below.aborted) == (1, False)


async def test_what_came_before_the_end_of_the_stream_is_delivered_first(pair: _Pair) -> None:
    pair.shake_hands()
    pair.above.reads_on = True
    pair.end.pause_reading()
    pair.client.write(b"the rest of a body")
    pair.exchange()
    pair.end.resume_reading()
    assert pair.end.eof_received() is True  # uvloop calls it before what call_soon was given
    assert (bytes(pair.above.received), pair.above.ends) == (b"the rest of a body", 1)


async def test_an_end_waits_while_reading_is_paused(pair: _Pair) -> None:
    pair.shake_hands()
    pair.end.pause_reading()
    pair.client.write(b"the rest of a body")
    pair.exchange()
    assert pair.end.eof_received() is True
    assert (bytes(pair.above.received), pair.above.ends) == (b"", 0)
    pair.end.resume_reading()
    await asyncio.sleep(0)
    assert (bytes(pair.above.received), pair.above.ends) == (b"the rest of a body", 1)
    assert pair.below.closing


async def test_buffers_do_not_grow_with_what_is_sent_at_once(pair: _Pair) -> None:
    pair.shake_hands()
    pieces: list[int] = []
    pair.below.write = lambda data: pieces.append(len(data))  # type: ignore[method-assign]
    pair.end.write(b"x" * 1_000_000)
    assert sum(pieces) > 1_000_000
    assert max(pieces) < 2 * PIECE


async def test_what_is_no_tls_is_refused_in_plain_text(pair: _Pair) -> None:
    pair.end.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert [refusal.status for refusal in pair.above.refusals] == [400]
    pair.end.write(b"in plain text")
    assert pair.below.take() == b"in plain text"
    assert [kind for _, kind, _ in pair.failures] == ["clear_text"]


async def test_damaged_bytes_end_the_connection(issued: IssuedFiles) -> None:
    for seed in range(40):
        pair = _Pair(issued.directory, issued.client(), seed)
        handshake = seed % 2
        if not handshake:
            pair.shake_hands()
            pair.client.write(b"x" * 200)
        else:
            pair._read()
        sent = bytearray(pair.from_client.read())
        place = pair.random.randrange(1, len(sent))
        sent[place] ^= 1 << pair.random.randrange(8)
        pair.end.data_received(bytes(sent[:place]))
        pair.end.data_received(bytes(sent[place:]))
        assert not pair.above.received
        if not handshake:
            # A length that has grown waits for more; anything else ends it.
            assert pair.below.aborted or place in (3, 4)
        pair.end.connection_lost(None)
        assert len(pair.failures) <= 1


async def test_a_client_that_has_the_gateway_answer_and_reads_nothing_is_cut_off(
    pair: _Pair,
) -> None:
    pair.shake_hands()
    pair.below.waiting = MAX_UNREAD + 1
    pair.client.write(b"request")
    pair.exchange()
    assert not pair.below.aborted  # nothing of TLS' own has been added
    # OpenSSL answers to a key update, for which Python's client has no call.
    pair.end._outgoing.write(b"an answer")
    pair.client.write(b"a key update")
    pair.end.data_received(pair.from_client.read())
    assert pair.below.aborted


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_depends_on_its_own_authority_alone(
    issued: IssuedFiles, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    former = IssuedFiles(tmp_path / "former", "former authority")
    trusted = issued.directory / "trusted.pem"
    trusted.write_bytes(former.ca.read_bytes() + issued.ca.read_bytes())
    model = TlsModel(cert="server.pem", key="server.key", client_ca="trusted.pem")
    tls = ServerTls(model, issued.directory, lambda end: None)
    client = issued.client("alice")
    client.maximum_version = version
    session: ssl.SSLSession | None = None
    certificates = []
    for resumed in (False, True):
        end, below = TlsConnection(tls.context, _Above(), lambda *failure: None), _Below()
        end.connection_made(below)
        to_client, from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        stream = client.wrap_bio(
            to_client, from_client, server_hostname="localhost", session=session
        )
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                stream.do_handshake()
                stream.read(1)
            if sent := from_client.read():
                end.data_received(sent)
            to_client.write(below.take())
        assert stream.session_reused is resumed
        session = stream.session
        peer = end.get_extra_info("peercert"), end.get_extra_info("authorities")
        certificates.append(certificate_from_der(*peer))
    assert certificates[0] == certificates[1]
    trusted.write_bytes(issued.ca.read_bytes())
    tls.renew()
    assert tls.refuses(certificates[1]) is None
    trusted.write_bytes(former.ca.read_bytes())
    tls.renew()
    assert tls.refuses(certificates[1]) is not None
