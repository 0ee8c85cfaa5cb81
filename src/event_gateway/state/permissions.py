"""What the gateway's user must be allowed in Redis (an ACL user), and a check of it at the start.

The check gives each command inside ``MULTI`` and then discards them all: Redis says at once which
of them the user may not run, and runs none.
"""

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from event_gateway.state.key_family import PREFIX
from event_gateway.state.keys import FAMILIES, FORMAT
from event_gateway.state.slot import SlotClient, in_slot

_KEY = FORMAT.key()
# Each command that this package and its scripts use, with arguments that it takes.
COMMANDS: dict[str, tuple[str, ...]] = {
    "ping": (), "info": (), "time": (), "script|load": ("return 0",), "evalsha": ("0" * 40, "0"),
    "eval": ("return 0", "0"), "get": (_KEY,), "set": (_KEY, "0"), "del": (_KEY,),
    "append": (_KEY, "0"), "mget": (_KEY,), "pexpireat": (_KEY, "1"),
    "exists": (_KEY,), "persist": (_KEY,), "pexpire": (_KEY, "1"), "hdel": (_KEY, "0"),
    "hexists": (_KEY, "0"), "hget": (_KEY, "0"), "hgetall": (_KEY,), "hincrby": (_KEY, "0", "1"),
    "hkeys": (_KEY,), "hmget": (_KEY, "0"), "hset": (_KEY, "0", "0"), "hsetnx": (_KEY, "0", "0"),
    "lindex": (_KEY, "0"), "llen": (_KEY,), "lpush": (_KEY, "0"), "ltrim": (_KEY, "0", "1"),
    "pttl": (_KEY,), "rename": (_KEY, _KEY), "scan": ("0",),
    "sadd": (_KEY, "0"), "sismember": (_KEY, "0"), "smembers": (_KEY,), "srem": (_KEY, "0"),
    "zadd": (_KEY, "0", "0"), "zcard": (_KEY,), "zcount": (_KEY, "0", "1"),
    "zmscore": (_KEY, "0"), "zpopmin": (_KEY,), "zrange": (_KEY, "0", "1"),
    "zrangebyscore": (_KEY, "0", "1"), "zrank": (_KEY, "0"), "zrem": (_KEY, "0"),
    "zremrangebyrank": (_KEY, "0", "1"), "zremrangebyscore": (_KEY, "0", "1"),
    "zrevrange": (_KEY, "0", "1"), "zrevrangebyscore": (_KEY, "1", "0"), "zscore": (_KEY, "0"),
}  # fmt: skip
# Begin and end the check itself; the gateway's transactions need them, too.
TRANSACTION = ("multi", "exec", "discard")


def key_patterns() -> list[str]:
    """The patterns of all keys of the gateway, as an ACL rule has them after its ``~``. One is the
    prefix alone, which scripts get as a key."""
    patterns = {PREFIX, *(PREFIX + "*".join(family.literals) for family in FAMILIES)}
    covered = {
        pattern
        for pattern in patterns
        for wider in patterns - {pattern}
        if wider.endswith("*") and pattern.startswith(wider[:-1])
    }
    return sorted(patterns - covered)


async def missing_permissions(client: Redis) -> list[str]:
    """What the user lacks: commands, and patterns of keys that it may not write. Raises what
    StateError names."""
    probes = [
        (f"the command {name}", (*name.upper().split("|"), *words))
        for name, words in COMMANDS.items()
    ]
    keys = {PREFIX: PREFIX} | {
        PREFIX + "*".join(family.literals): family.key(*("0" for _ in family.placeholders))
        for family in FAMILIES
    }
    probes += [(f"the keys '{pattern}'", ("DEL", key)) for pattern, key in keys.items()]
    pool = client.connection_pool
    connection = await pool.get_connection()

    async def is_refused(kind: str) -> bool:
        try:
            await connection.read_response()
        except NoPermissionError as error:
            # A command is refused for itself before it is refused for its keys.
            return ("command" in str(error)) == kind.startswith("the command")
        except ResponseError:
            pass  # a command that this server does not know
        return False

    try:
        await connection.send_command("MULTI")
        try:
            if await connection.read_response() != b"OK":
                return []  # the commands would run
        except NoPermissionError:
            return ["the command multi"]
        placed = in_slot if isinstance(client, SlotClient) else tuple
        commands = [*(placed(words) for _, words in probes), ("DISCARD",)]
        await connection.send_packed_command(connection.pack_commands(commands))
        missing = [what for what, _ in probes if await is_refused(what)]
        if await is_refused("the command discard"):
            missing.append("the command discard")
            await connection.disconnect(nowait=True)  # which discards them, too
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    finally:
        await pool.release(connection)
    return missing
