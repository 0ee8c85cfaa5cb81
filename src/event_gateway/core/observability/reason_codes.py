"""Every code of a reason for degraded health: what it is about, what it means, what to do."""

import msgspec


class ReasonCode(msgspec.Struct, frozen=True):
    """``component`` is the part of the gateway that the reason is about; ``see`` a heading of the
    page on operation."""

    component: str
    meaning: str
    remedy: str
    see: str = ""


COMPONENTS = (
    "nats", "redis", "routing", "streams", "registry", "disk", "memory", "clock", "tasks",
    "access", "processes", "alerts",
)  # fmt: skip
"""The components of ``GET /v1/health``, in its order."""

NATS_UNREACHABLE = "nats_unreachable"
REDIS_UNREACHABLE = "redis_unreachable"
REDIS_REFUSES = "redis_refuses"
REDIS_EVICTS = "redis_evicts"
JETSTREAM = "jetstream_unavailable"
NATS_PERMISSION = "nats_permission"
STATUS_UNWRITTEN = "status_unwritten"
ROUTING_LAG = "routing_lag"
REPAIR = "repair"
LOG_NEARLY_FULL = "log_nearly_full"
STREAM_DELETED = "stream_deleted"
STREAM_WENT_BACK = "stream_went_back"
LOG_LOST = "log_lost"
STREAM_WITHOUT_LEADER = "stream_without_leader"
STREAM_NOT_COPIED = "stream_not_copied"
REGISTRY_ENTRY = "registry_entry"
REGISTRY_STALLED = "registry_stalled"
CHAIN_BEHIND = "chain_behind"
CHAIN_BROKEN = "chain_broken"
SEALING = "sealing"
DISK_FULL = "disk_full"
DISK_NEARLY_FULL = "disk_nearly_full"
MEMORY = "memory"
CLOCK_JUMPED = "clock_jumped"
TASK_CRASHED = "task_crashed"
ISSUER_KEYS = "issuer_keys"
CONFIGURATION_DIFFERS = "configuration_differs"
PROCESS_LOST = "process_lost"
ALERT = "alert"

CODES: dict[str, ReasonCode] = {
    NATS_UNREACHABLE: ReasonCode(
        "nats",
        "The process has no connection to NATS, or NATS has not answered for 3.5 seconds. It "
        "accepts no events over HTTP and starts no deliveries; `/readyz` is 503.",
        "Start NATS, or mend the network. The gateway connects again by itself.",
    ),
    JETSTREAM: ReasonCode(
        "nats",
        "The process is connected to NATS, and JetStream does not answer its requests.",
        "Look at JetStream on the server (`nats server report jetstream`, as a user of the system "
        "account): whether it is enabled, the cluster has a leader, and its disk can be written.",
    ),
    NATS_PERMISSION: ReasonCode(
        "nats",
        "NATS has refused an operation for want of a permission in the last minute.",
        "Give the gateway's user the named permission.",
        "The least permissions in NATS",
    ),
    STATUS_UNWRITTEN: ReasonCode(
        "nats",
        "The leader cannot store in NATS whether the gateway is healthy, or cannot publish that it "
        "changed. It tries again every second.",
        "Look at the stream `KV_GATEWAY_STATUS` and at the permission `$KV.GATEWAY_STATUS.>`.",
    ),
    REDIS_UNREACHABLE: ReasonCode(
        "redis",
        "Redis does not answer. Events are accepted; no attempt starts until it is back.",
        "Start Redis, or mend the network. Nothing else is needed.",
    ),
    REDIS_REFUSES: ReasonCode(
        "redis",
        "Redis answers, and refuses to write: it is out of memory, read-only, loading, has another "
        "password, or does not allow a command. No attempt starts until it takes writes.",
        "Do what the text of the reason says.",
    ),
    REDIS_EVICTS: ReasonCode(
        "redis",
        "Redis has another `maxmemory-policy` than `noeviction`, and may drop delivery records.",
        "Set `maxmemory-policy noeviction`.",
    ),
    ROUTING_LAG: ReasonCode(
        "routing",
        "An event in the log has waited for more than 10 seconds to be routed.",
        "Look at the other reasons first. Otherwise the gateway is too slow for its load: start "
        "more processes.",
    ),
    REPAIR: ReasonCode(
        "routing",
        "Redis has lost records, and the process reads the log again; or it waits for a decision "
        "on that (`repair: manual`). Or a process uses another Redis server than the others.",
        "Find out why Redis lost them. If the reason asks for a decision, take it. If it names a "
        "process, find out why that one does not reach the Sentinels or nodes, or restart it.",
        "When Redis loses records",
    ),
    LOG_NEARLY_FULL: ReasonCode(
        "streams",
        "The events log holds more than 90% of `ingest.max_bytes`. When it is full, the gateway "
        "refuses events (507) rather than drop older ones.",
        "Raise `ingest.max_bytes`, or shorten `ingest.retention`, and reload.",
    ),
    STREAM_DELETED: ReasonCode(
        "streams",
        "A stream of the gateway was deleted in NATS; the gateway creates it again.",
        "Find out who deleted it.",
        "When a stream is deleted",
    ),
    STREAM_WENT_BACK: ReasonCode(
        "streams",
        "A stream was restored from an older copy, or created again by another client of NATS; the "
        "gateway lowers what it knows of its sequences.",
        "Wait: it takes seconds. If it stays, the text says what hinders it.",
        "When a stream is deleted",
    ),
    LOG_LOST: ReasonCode(
        "streams",
        "NATS does not have the events log that the gateway has used: it has lost its data, or "
        "`nats.url` names another server. The gateway has created a new log, and works. Events "
        "of the lost log that were not delivered are lost.",
        "Make sure that it is the right server. Restore a backup, or register again what is "
        "missing. Then confirm that you know: `POST /v1/repair/loss`.",
        "When NATS loses its data",
    ),
    CHAIN_BEHIND: ReasonCode(
        "streams",
        "A message of a compliance stream has waited for more than a minute for its record in the "
        "hash chain. Events are taken, routed and streamed as ever.",
        "Do what the text says of NATS. Without such a text the leading process has too little "
        "time: look at its load.",
        "Compliance streams in operation",
    ),
    CHAIN_BROKEN: ReasonCode(
        "streams",
        "A compliance stream, or its hash chain, has lost messages that it had: it was deleted, "
        "emptied, or restored from an older copy.",
        "Run `event-gateway streams verify`, which says what is missing; find out who did it.",
        "Compliance streams in operation",
    ),
    SEALING: ReasonCode(
        "streams",
        "A compliance stream with `sealed_by` gets no events: they cannot be sealed, or written. "
        "They wait in the log for as long as `ingest.retention`.",
        "Do what the text says: mostly there is no sealing key, or not the one that is needed.",
        "Compliance streams in operation",
    ),
    STREAM_WITHOUT_LEADER: ReasonCode(
        "streams",
        "No server of the NATS cluster answers for a stream: most of its replicas are away.",
        "Start the missing servers of the cluster.",
    ),
    STREAM_NOT_COPIED: ReasonCode(
        "streams",
        "NATS has copied nothing into a named stream for more than 10 seconds, although its source "
        "answers: mostly after a change of the cluster. In a stream with replicas the gateway "
        "changes the leader, which begins to copy again where the stream ends. No event is lost.",
        "Wait: it takes seconds. If it stays, look at the log, and whether the gateway's user may "
        "publish to `$JS.API.STREAM.LEADER.STEPDOWN.*`. A stream with one replica waits until NATS "
        "tries again, for up to two minutes.",
        "A NATS cluster",
    ),
    REGISTRY_ENTRY: ReasonCode(
        "registry",
        "An entry of the registry cannot be read, or the webhook in it cannot be used. Deliveries "
        "of the webhook wait.",
        "Replace it (`PUT`, `PATCH`) or delete it. An entry that cannot be read is replaced by "
        "`PUT` or `POST` as if its name were free; the messages of a stream stay.",
    ),
    REGISTRY_STALLED: ReasonCode(
        "registry",
        "The registry holds a change that the process should have applied five seconds ago. It "
        "starts to follow the registry again every five seconds.",
        "If it stays, look for the stream `KV_GATEWAY_REGISTRY` in NATS, and at the log.",
    ),
    DISK_FULL: ReasonCode(
        "disk",
        "The disk of the embedded servers has only its reserve left: no events are accepted.",
        "Free some room in the data directory's file system. The gateway goes on by itself.",
    ),
    DISK_NEARLY_FULL: ReasonCode(
        "disk",
        "The disk of the embedded servers has less free than twice its reserve.",
        "Free some room before events are refused.",
    ),
    MEMORY: ReasonCode(
        "memory",
        "The container uses more than 90% of its memory limit; without a limit, the process uses "
        "more than half of the machine's memory.",
        "Raise the limit, or start more processes on other machines. Look at `GET /v1/health` for "
        "the figures before you restart the process.",
    ),
    CLOCK_JUMPED: ReasonCode(
        "clock",
        "The clock of the machine was set by more than 5 seconds in the last minute. Retries, "
        "deadlines, signatures and tokens go by it.",
        "Let NTP or chrony slew the clock.",
    ),
    TASK_CRASHED: ReasonCode(
        "tasks",
        "A background task crashed in the last minute. The supervisor has restarted it.",
        "The log has the exception. Please report it.",
        "Background tasks",
    ),
    ISSUER_KEYS: ReasonCode(
        "access",
        "The keys of an issuer of tokens cannot be fetched. Its former keys serve for "
        "`keep_keys`; without them its tokens are refused.",
        "See whether the issuer's URL can be reached from the gateway.",
    ),
    CONFIGURATION_DIFFERS: ReasonCode(
        "processes",
        "Other processes have other webhooks or streams in their configuration file.",
        "Give all processes the same file, and reload them.",
    ),
    PROCESS_LOST: ReasonCode(
        "processes",
        "A process has disappeared in the last 30 seconds without a clean shutdown: it was killed, "
        "has crashed, or cannot reach NATS. The others take its deliveries over.",
        "Look why it ended; the manager of the processes should start it again.",
    ),
    ALERT: ReasonCode(
        "alerts",
        "An alert is firing that is not silenced.",
        "`GET /v1/alerts` lists it.",
    ),
}  # fmt: skip
