"""What the gateway's user must be allowed in NATS, and a check of it at the start.

The check publishes a message to each subject that changes nothing: the JetStream API refuses it, or
the stream does, as it expects another stream. The server reports each violation before it answers
the ping that follows.
"""

from nats.aio.client import Client

from event_gateway.broker.violations import Violations

_EVENTS = "GATEWAY_EVENTS"
_NONE = "permission-check"  # a consumer, a message of a stream, a process: there is none
_REFUSED = b"!"  # by the JetStream API, as it is no JSON

# What the gateway cannot work without: permission, and a message to try it with. Beside these it
# publishes to the captured subjects, "events.>" and those of lifecycle events. They are not tried,
# as others subscribe to them.
_REQUIRED: tuple[tuple[str, str, bytes], ...] = (
    ("$JS.API.STREAM.INFO.*", f"$JS.API.STREAM.INFO.{_EVENTS}", _REFUSED),
    ("$JS.API.STREAM.LIST", "$JS.API.STREAM.LIST", _REFUSED),
    ("$JS.API.STREAM.CREATE.*", f"$JS.API.STREAM.CREATE.{_EVENTS}", _REFUSED),
    ("$JS.API.STREAM.UPDATE.*", f"$JS.API.STREAM.UPDATE.{_EVENTS}", _REFUSED),
    ("$JS.API.STREAM.MSG.GET.*", f"$JS.API.STREAM.MSG.GET.{_EVENTS}", _REFUSED),
    ("$JS.API.DIRECT.GET.>", f"$JS.API.DIRECT.GET.{_EVENTS}", _REFUSED),
    ("$JS.API.CONSUMER.INFO.*.*", f"$JS.API.CONSUMER.INFO.{_EVENTS}.{_NONE}", _REFUSED),
    ("$JS.API.CONSUMER.LIST.*", f"$JS.API.CONSUMER.LIST.{_EVENTS}", _REFUSED),
    ("$JS.API.CONSUMER.CREATE.>", f"$JS.API.CONSUMER.CREATE.{_EVENTS}.{_NONE}", _REFUSED),
    (
        "$JS.API.CONSUMER.DURABLE.CREATE.*.*",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{_EVENTS}.{_NONE}",
        _REFUSED,
    ),
    ("$JS.API.CONSUMER.DELETE.*.*", f"$JS.API.CONSUMER.DELETE.{_EVENTS}.{_NONE}", _REFUSED),
    ("$JS.API.CONSUMER.MSG.NEXT.*.*", f"$JS.API.CONSUMER.MSG.NEXT.{_EVENTS}.{_NONE}", _REFUSED),
    ("$JS.ACK.>", f"$JS.ACK.{_EVENTS}.router.1.0.0.0.0", b"+WPI"),
    ("$KV.GATEWAY_REGISTRY.>", f"$KV.GATEWAY_REGISTRY.{_NONE}", b""),
    ("eg.dead.*", f"eg.dead.{_NONE}", b""),
    ("eg.rejected.*", f"eg.rejected.{_NONE}", b""),
    ("eg.audit.*", f"eg.audit.{_NONE}", b""),
    ("eg.process.*", f"eg.process.{_NONE}", b""),
)
# These may be withheld. A call that needs a missing one fails, and its error names the permission.
_OPTIONAL: tuple[tuple[str, str, bytes], ...] = (
    ("$JS.API.STREAM.DELETE.*", f"$JS.API.STREAM.DELETE.GATEWAY_STREAM_{_NONE}", _REFUSED),
    (
        "$JS.API.STREAM.PURGE.GATEWAY_DEAD_LETTERS",
        "$JS.API.STREAM.PURGE.GATEWAY_DEAD_LETTERS",
        b'{"seq":1}',
    ),
    ("$JS.API.STREAM.MSG.DELETE.*", "$JS.API.STREAM.MSG.DELETE.GATEWAY_DEAD_LETTERS", _REFUSED),
    (
        "$JS.API.STREAM.LEADER.STEPDOWN.*",
        f"$JS.API.STREAM.LEADER.STEPDOWN.GATEWAY_STREAM_{_NONE}",
        _REFUSED,
    ),
    ("eg.tally.*", f"eg.tally.{_NONE}", b""),
    ("eg.chain.*.*", f"eg.chain.{_NONE}.{_NONE}", b""),
    ("eg.sealed.>", f"eg.sealed.{_NONE}.{_NONE}", b""),
    ("eg.subject-key.*.*", f"eg.subject-key.{_NONE}.{_NONE}", b""),
    ("$KV.GATEWAY_STATUS.>", f"$KV.GATEWAY_STATUS.{_NONE}", b""),
)
_SUBSCRIBED = ("eg.process.*", "eg.subscribers", "eg.tally.*")
_REFUSED_BY_STREAMS = {"Nats-Expected-Stream": _NONE}


async def missing_permissions(nc: Client, violations: Violations) -> list[str]:
    """Which permissions the user lacks that the gateway cannot work without.

    Logs those that may be withheld, too. Raises what BrokerError names.
    """
    subscriptions = [await nc.subscribe(subject, cb=_ignore) for subject in _SUBSCRIBED]
    for _, subject, payload in (*_REQUIRED, *_OPTIONAL):
        headers = None if payload else _REFUSED_BY_STREAMS
        await nc.publish(subject, payload, reply=nc.new_inbox(), headers=headers)
    await nc.flush()
    for subscription in subscriptions:
        await subscription.unsubscribe()
    optional = [f'"{permission}"' for permission, _, _ in _OPTIONAL]
    return [
        text for text in violations.recent() if not any(withheld in text for withheld in optional)
    ]


async def _ignore(_message: object) -> None:
    pass
