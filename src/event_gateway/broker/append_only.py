"""Whether a compliance stream can only grow: its settings in JetStream, and what NATS allows.

``deny_delete`` and ``deny_purge`` keep single messages. A client that may update or delete the
stream can still empty it: only the permissions of NATS prevent that. The check tries what the
gateway's own user may do, with requests that change nothing: JetStream refuses them, as they are no
JSON.
"""

from nats.js.api import StreamConfig

from event_gateway.broker.chain_log import chain_name
from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.provision import existing
from event_gateway.core.streams.definition import StreamDefinition

_CHANGES = ("UPDATE", "DELETE", "PURGE", "MSG.DELETE")
_REFUSED = b"!"  # by JetStream, before it looks at the stream


def changing_subjects(name: str) -> list[str]:
    """The subjects of the JetStream API that change or empty a named stream, or its chain."""
    return [
        f"$JS.API.STREAM.{change}.{stream}"
        for stream in (stream_name(name), chain_name(name))
        for change in _CHANGES
    ]


async def allowed_changes(broker: Broker, name: str) -> list[str]:
    """Those of :func:`changing_subjects` on which this user may publish. Raises what BrokerError
    names."""
    subjects = changing_subjects(name)
    with broker.violations.trying(subjects) as refused:
        for subject in subjects:
            await broker.nc.publish(subject, _REFUSED, reply=broker.nc.new_inbox())
        await broker.nc.flush()
        return [subject for subject in subjects if not refused[subject.lower()]]


async def wrong_settings(broker: Broker, definition: StreamDefinition) -> list[str]:
    """What of the settings of a compliance stream and its chain lets messages vanish or appear.
    Raises what BrokerError names."""
    limits = definition.limits
    stream, chain = stream_name(definition.name), chain_name(definition.name)
    found = []
    for name in (stream, chain):
        config = await existing(broker, name)
        if config is None:
            found.append(f"{name} does not exist")
            continue
        found += _open_doors(name, config)
        if name == stream and definition.sealed_by is None and config.subjects:
            found.append(f"{name}: it has subjects, on which others may publish")
        if name == stream:
            found += [
                f"{name}: {key} is {present}, not {wanted}"
                for key, present, wanted in (
                    ("max_age", config.max_age or 0, limits.retention or 0),
                    ("max_msgs", max(config.max_msgs or 0, 0), limits.max_messages or 0),
                    ("max_bytes", max(config.max_bytes or 0, 0), limits.max_bytes or 0),
                )
                if present != wanted
            ]
    return found


def _open_doors(name: str, config: StreamConfig) -> list[str]:
    found = [f"{name}: {key} is off" for key in ("deny_delete", "deny_purge")
             if not getattr(config, key)]  # fmt: skip
    if config.allow_rollup_hdrs:
        found.append(f"{name}: allow_rollup_hdrs is on")
    return found
