"""What a call raises while Redis is away, and that nobody takes it for an error of NATS."""

import asyncio

import pytest
from nats.errors import TimeoutError as NatsTimeout
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from event_gateway.broker.connection import BrokerError
from event_gateway.state.condition import refuses_one_command
from event_gateway.state.connection import StateError, connect


def test_an_error_is_of_one_of_the_servers() -> None:
    assert issubclass(NatsTimeout, BrokerError)
    for of_nats in BrokerError:
        assert not issubclass(of_nats, StateError)
    for of_redis in StateError:
        assert not issubclass(of_redis, BrokerError)


def test_a_server_without_the_scripts_is_waited_for() -> None:
    assert not refuses_one_command(NoScriptError("No matching script."))
    assert refuses_one_command(ResponseError("value is not an integer"))


async def _raised_by(client: Redis) -> BaseException:
    with pytest.raises(StateError) as raised:
        await client.get("key")
    async with client.pipeline(transaction=False) as pipe:
        pipe.get("key")
        with pytest.raises(StateError):
            await pipe.execute()
    assert not isinstance(raised.value, BrokerError)
    return raised.value


@pytest.mark.parametrize("how", ["refuses", "resets", "is silent", "ends a response early"])
async def test_what_goes_wrong_with_the_connection_is_an_error_of_redis(
    how: str, servers: tuple[str, str]
) -> None:
    host, port = "127.0.0.1", int(servers[1].rpartition(":")[2].partition("/")[0])
    broken = asyncio.Event()
    writers: list[asyncio.StreamWriter] = []

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        there, to_server = await asyncio.open_connection(host, port)
        writers.append(to_server)
        forth = asyncio.create_task(_copy(reader, to_server))
        while data := await there.read(65536):
            if broken.is_set() and how == "is silent":
                continue
            if broken.is_set() and how == "ends a response early":
                writer.write(data[:2])
                writer.close()
                break
            writer.write(data)
        forth.cancel()

    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if broken.is_set() and how == "resets":
                for each in writers:
                    each.transport.abort()
                return
            writer.write(data)

    proxy = await asyncio.start_server(between, host)
    url = servers[1].replace(str(port), str(proxy.sockets[0].getsockname()[1]))
    client = await connect(url)
    client.connection_pool.connection_kwargs["socket_timeout"] = 0.2
    await client.connection_pool.disconnect()
    assert await client.get("key") is None
    broken.set()
    if how == "refuses":
        proxy.close()
        for writer in writers:
            writer.transport.abort()
    await _raised_by(client)
    proxy.close()
    await client.aclose()
    for writer in writers:
        writer.transport.abort()
