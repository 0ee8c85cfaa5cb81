"""Rates of streams: counted by JetStream once, then by the sequences in between."""

from event_gateway.broker.connection import connect
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.stream_rates import MessageRates


async def test_rates_of_a_stream(servers: tuple[str, str]) -> None:
    now = [1000.0]
    broker = await connect(servers[0])
    try:
        await broker.js.add_stream(name=stream_name("users"), subjects=["s.>"])
        for _ in range(6):
            await broker.js.publish("s.a", b"x")
        rates = MessageRates(broker, lambda: now[0])
        assert await rates.rate("users", 6) == 0.1  # JetStream counts the last minute
        assert await rates.rate("nothing", 0) == 0.0
        now[0] += 20
        assert await rates.rate("users", 26) == 1.0
        now[0] += 30
        assert await rates.rate("users", 56) == 1.0
        # What was seen more than a minute ago counts no more.
        now[0] += 30
        assert await rates.rate("users", 116) == 1.5
        # A stream that was created again has lower sequences.
        now[0] += 20
        assert await rates.rate("users", 6) == 0.1
        now[0] += 10
        assert await rates.rate("users", 26) == 2.0
        # Nobody has asked for long.
        now[0] += 3600
        assert await rates.rate("users", 10_000) == 0.1
    finally:
        await broker.close()
