"""The sequences of the log up to which Redis has records; the log may have gone back since."""

from typing import cast

from redis.asyncio import Redis

from event_gateway.state.keys import CHECKPOINT, HIGH


async def highest_sequences(client: Redis) -> dict[str, int]:
    """The highest recorded sequence of each stream. Raises what StateError names."""
    return await _sequences(client, HIGH.key())


async def reached_sequences(client: Redis) -> dict[str, int]:
    """The highest sequence of each stream that Redis knows of, also of events that no webhook
    matched. Raises what StateError names."""
    reached = await _sequences(client, CHECKPOINT.key())
    for stream, seq in (await highest_sequences(client)).items():
        reached[stream] = max(seq, reached.get(stream, 0))
    return reached


async def _sequences(client: Redis, key: str) -> dict[str, int]:
    known = cast(dict[bytes, bytes], await client.hgetall(key))
    return {stream.decode(): int(seq) for stream, seq in known.items()}
