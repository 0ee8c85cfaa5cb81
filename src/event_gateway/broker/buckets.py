"""Key-value buckets of NATS whose entries are read one by one."""

from nats.js.errors import BucketNotFoundError
from nats.js.kv import KeyValue

from event_gateway.broker.connection import Broker


async def opened_bucket(broker: Broker, name: str) -> KeyValue:
    """A bucket that holds the latest value of each key; it is created if there is none."""
    try:
        return await broker.js.key_value(name)
    except BucketNotFoundError:
        return await broker.js.create_key_value(
            bucket=name, history=1, direct=True, replicas=broker.replicas or 1
        )
