"""The list of all streams, of which only those that changed are decoded."""

import pytest
from nats.aio.msg import Msg
from nats.js.api import StorageType
from nats.js.errors import APIError, ServiceUnavailableError

from event_gateway.broker import stream_list
from event_gateway.broker.connection import connect
from event_gateway.broker.stream_list import StreamList


async def test_a_stream_that_changed_is_decoded_again_and_no_other(
    servers: tuple[str, str],
) -> None:
    broker = await connect(servers[0])
    for name in ("a", "b"):
        await broker.js.add_stream(name=name, subjects=[name])
    listed = StreamList(broker)
    first = await listed.read()
    assert {name: info.state.messages for name, info in first.items()} == {"a": 0, "b": 0}
    assert first == {info.config.name: info for info in await broker.js.streams_info()}
    await broker.js.publish("a", b"")
    second = await listed.read()
    assert second["a"].state.messages == 1
    assert second["b"] is first["b"]
    await broker.js.delete_stream("b")
    assert list(await listed.read()) == ["a"]
    await broker.close()


async def test_an_answer_that_is_the_same_is_not_decoded(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, decode = 0, stream_list._decode

    def counted(answer: bytes) -> stream_list._Page:
        nonlocal decoded
        decoded += 1
        return decode(answer)

    monkeypatch.setattr(stream_list, "_decode", counted)
    broker = await connect(servers[0])
    for name in ("a", "b"):
        await broker.js.add_stream(name=name, subjects=[name])
    listed = StreamList(broker)
    first = await listed.read()
    for _ in range(3):
        assert await listed.read() is first
    assert decoded == 1
    await broker.js.publish("a", b"")
    assert await listed.read() is not first
    assert decoded == 2
    await broker.close()


async def test_more_streams_than_one_answer_holds_are_listed(servers: tuple[str, str]) -> None:
    broker = await connect(servers[0])
    names = {f"s{number}" for number in range(stream_list.PAGE + 1)}
    for name in names:
        await broker.js.add_stream(name=name, subjects=[name], storage=StorageType.MEMORY)
    assert (await StreamList(broker).read()).keys() == names
    await broker.close()


async def test_what_nats_refuses_is_raised(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = await connect(servers[0])
    listed = StreamList(broker)

    async def refusing(message: Msg) -> None:
        await message.respond(b'{"error":{"code":503,"err_code":10008,"description":"no leader"}}')

    monkeypatch.setattr(stream_list, "SUBJECT", "refusing")
    await broker.nc.subscribe("refusing", cb=refusing)
    with pytest.raises(APIError):
        await listed.read()
    monkeypatch.setattr(stream_list, "SUBJECT", "nobody")
    with pytest.raises(ServiceUnavailableError):
        await listed.read()
    await broker.close()
