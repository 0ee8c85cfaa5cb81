"""Copies streams out of JetStream and back, with their consumers, sequences and times.

By the snapshots of JetStream ($JS.API.STREAM.SNAPSHOT and .RESTORE), which managed servers offer,
too. The server sends a snapshot in chunks, and waits for the confirmation of some of them before it
sends more; it takes them back in the same way. Their content is the server's own.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker, BrokerError

CHUNK = 256 * 1024  # bytes of a chunk: below the least max_payload of a server
SILENCE = 60.0  # seconds without a chunk after which a copy counts as failed
ASSEMBLY = 600.0  # seconds in which the server makes a stream of the chunks that it has got
PREFIXES = ("GATEWAY_", "KV_GATEWAY_")  # of the names of the gateway's own streams
_FINE = (None, "204")


class CopyFailed(Exception):
    """JetStream cannot copy a stream; the text says which, and why."""


class CopiedStream(msgspec.Struct, frozen=True):
    """The configuration and the state of a stream, as the server gave them with its snapshot."""

    config: dict[str, Any]
    state: dict[str, Any]


async def streams_to_copy(broker: Broker, external: Sequence[str]) -> dict[str, int]:
    """The gateway's own streams, and the external ones that there are: their sizes in bytes by
    name. Raises CopyFailed, and the exceptions in BrokerError."""
    found: dict[str, int] = {}
    offset = 0
    while True:
        request = msgspec.json.encode({"offset": offset})
        answer = await _ask(broker, "$JS.API.STREAM.LIST", request, "the list of streams")
        streams = answer.get("streams") or []
        for stream in streams:
            name = stream["config"]["name"]
            if name.startswith(PREFIXES) or name in external:
                found[name] = stream["state"]["bytes"]
        offset += len(streams)
        if not streams or offset >= answer.get("total", 0):
            return found


async def copy_out(broker: Broker, stream: str, take: Callable[[bytes], None]) -> CopiedStream:
    """Calls ``take`` with the chunks of a stream's snapshot, which includes its consumers.

    Raises CopyFailed, and the exceptions in BrokerError.
    """
    nc = broker.nc
    inbox = nc.new_inbox()
    chunks = await nc.subscribe(inbox)
    try:
        request = msgspec.json.encode({"deliver_subject": inbox, "chunk_size": CHUNK})
        answer = await _ask(broker, f"$JS.API.STREAM.SNAPSHOT.{stream}", request, stream)
        while True:
            try:
                chunk = await chunks.next_msg(SILENCE)
            except TimeoutError:
                raise CopyFailed(f"{stream}: NATS has stopped sending the snapshot") from None
            if not chunk.data:
                headers = chunk.headers or {}
                if headers.get("Status") not in _FINE:
                    raise CopyFailed(f"{stream}: NATS: {headers.get('Description', headers)}")
                break
            take(chunk.data)
            if chunk.reply:
                await nc.publish(chunk.reply)
    finally:
        with contextlib.suppress(*BrokerError):
            await chunks.unsubscribe()
    return CopiedStream(answer["config"], answer["state"])


async def begin_copy_in(broker: Broker, stream: CopiedStream, replicas: int | None) -> str:
    """Begins to create a stream from a snapshot; returns where :func:`copy_in` sends it. It has no
    sources: some servers would copy them from their beginning. ``replicas``: on how many servers;
    None: as many as it had, or one where the server is in no cluster.

    Raises CopyFailed, also if there is such a stream, and the exceptions in BrokerError.
    """
    name, nc = stream.config["name"], broker.nc
    if replicas is None and not nc._server_info.get("cluster"):
        replicas = 1
    config = {key: value for key, value in stream.config.items() if key != "sources"}
    if replicas is not None:
        config["num_replicas"] = replicas
    request = msgspec.json.encode({"config": config, "state": stream.state})
    answer = await _ask(broker, f"$JS.API.STREAM.RESTORE.{name}", request, name)
    return str(answer["deliver_subject"])


async def copy_in(broker: Broker, name: str, where: str, chunks: Iterable[bytes]) -> None:
    """Creates the stream ``name`` from the chunks of a snapshot. Raises CopyFailed, and the
    exceptions in BrokerError."""
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), CHUNK):
                taken = await _request(broker, where, chunk[start : start + CHUNK], name, SILENCE)
                _check(taken, name)
    except BaseException:
        # Else the server may make the stream of what it has got, after it was deleted here.
        with contextlib.suppress(CopyFailed, *BrokerError):
            await _request(broker, where, b"", name, SILENCE)
        raise
    _check(await _request(broker, where, b"", name, ASSEMBLY), name)


async def delete_stream(broker: Broker, name: str) -> None:
    """Deletes a stream that was copied in, if it is there. Raises the exceptions in BrokerError."""
    with contextlib.suppress(NotFoundError):
        await broker.js.delete_stream(name)


async def _ask(broker: Broker, subject: str, body: bytes, what: str) -> dict[str, Any]:
    answer = await _request(broker, subject, body, what, max(REQUEST_TIMEOUT, SILENCE))
    return _check(answer, what)


async def _request(broker: Broker, subject: str, body: bytes, what: str, timeout: float) -> bytes:
    try:
        return bytes((await broker.nc.request(subject, body, timeout=timeout)).data)
    except TimeoutError:
        denied = broker.violations.during_call()
        raise CopyFailed(f"{what}: {denied or 'NATS does not answer'}") from None


def _check(answer: bytes, what: str) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(answer) if answer else {}
    if error := decoded.get("error"):
        raise CopyFailed(f"{what}: NATS: {error.get('description')} ({error.get('err_code')})")
    return decoded
