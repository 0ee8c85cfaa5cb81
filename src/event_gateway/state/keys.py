"""All keys that the gateway uses in Redis. No other module names a key.

Python takes keys from the families below (``QUEUE.key(webhook_id)``), Lua scripts from functions
and constants that :mod:`event_gateway.state.scripts` generates from them (``queue_key(webhook)``,
``DUE_KEY``). :mod:`event_gateway.state.keys_reference` writes them into the documentation.
"""

from event_gateway.state.key_family import PREFIX, Deletion, Expiry, KeyFamily

DAY = 86400.0
HOUR = 3600.0

_RECORDS = "as records: the longer of `delivery.keep_records` and `ingest.retention`"
_DEAD_LETTERS = "`dead_letters.retention`"
_WITH_WEBHOOK = "deleting the webhook"
_NOTHING = "nothing"

# Deliveries
DELIVERY = KeyFamily(
    name="delivery", pattern="delivery:{webhook}:{event}", type="hash", owner="ledger, renames",
    value="The record of a delivery: status, attempts, next attempt, position of its event. "
    "`{event}` is the event's id, or its beginning and a digest where it is longer than 512 "
    "characters; `~` and a hash of the source follow where another source's event has the same id",
    lifetime="until the delivery is final, then the longer of `delivery.keep_records` and "
    "`ingest.retention`",
    deleted_by="Redis, by expiry", expiry=Expiry.ONCE_ENDED,
)  # fmt: skip
QUEUE = KeyFamily(
    name="queue", pattern="queue:{webhook}", type="zset", owner="ledger, queues, runs, renames",
    value="The deliveries that are not final, by due time (ms); deliveries in progress: by the end "
    "of their lease",
    lifetime="until the last delivery is final",
    deleted_by="the scripts that make a delivery final; deleting the webhook, which cancels them",
)  # fmt: skip
DUE = KeyFamily(
    name="due", pattern="due", type="zset", owner="ledger, queues, runs, renames",
    value="The webhooks with queued deliveries, by when the next can start (ms)",
    lifetime="a member: while the queue holds deliveries and is not paused",
    deleted_by="the scripts that empty a queue",
)  # fmt: skip
RECENT = KeyFamily(
    name="recent", pattern="recent:{webhook}", type="zset",
    owner="ledger, queues, deliveries, renames",
    value="The 1,000 deliveries that changed last, by the time of the change (ms)",
    lifetime=_RECORDS, expiry=Expiry.ALWAYS,
    deleted_by=_WITH_WEBHOOK, at_deletion=Deletion.FORGET_HISTORY,
)  # fmt: skip
RESPONSES = KeyFamily(
    name="responses", pattern="answers:{webhook}", type="hash", owner="ledger, renames",
    value="The receiver's responses to the latest attempts, of 100 deliveries",
    lifetime=_RECORDS, expiry=Expiry.ALWAYS,
    deleted_by=_WITH_WEBHOOK, at_deletion=Deletion.FORGET_HISTORY,
)  # fmt: skip
RESPONDED = KeyFamily(
    name="responded", pattern="answered:{webhook}", type="zset", owner="ledger, renames",
    value="The deliveries in `answers:{webhook}`, by the time of their last change (ms)",
    lifetime=_RECORDS, expiry=Expiry.ALWAYS,
    deleted_by=_WITH_WEBHOOK, at_deletion=Deletion.FORGET_HISTORY,
)  # fmt: skip
STATS = KeyFamily(
    name="stats", pattern="stats:{webhook}", type="hash", owner="ledger, renames",
    value="Counts since the registration, and the attempts of this minute and the last",
    lifetime="400 days after the latest attempt", expiry=Expiry.ALWAYS, ttl=400 * DAY,
    deleted_by=_WITH_WEBHOOK, at_deletion=Deletion.FORGET_HISTORY,
)  # fmt: skip
HOURS = KeyFamily(
    name="hours", pattern="hours:{webhook}", type="hash", owner="ledger, renames",
    value="Counts for each of the last 24 hours, in fields `hour:name`",
    lifetime="24 hours", expiry=Expiry.ALWAYS, ttl=DAY,
    deleted_by=_WITH_WEBHOOK, at_deletion=Deletion.FORGET_HISTORY,
)  # fmt: skip
LAST_WRITE = KeyFamily(
    name="last_write", pattern="last_write:{process}", type="hash", owner="ledger",
    value="The number of the latest write of a process' ledger, and which of its changes were "
    "refused: a write whose answer was lost is recognised when it is sent again",
    lifetime="a day after the latest write", expiry=Expiry.ALWAYS, ttl=DAY,
    deleted_by="Redis, by expiry",
)  # fmt: skip

# Receiver health
BREAKER = KeyFamily(
    name="breaker", pattern="breaker:{webhook}", type="hash", owner="ledger, queues, renames",
    value="A circuit breaker that is not closed: `state`, `since`, `until` (ms), the probe's token",
    lifetime="until the breaker closes",
    deleted_by="the ledger; deleting the webhook", at_deletion=Deletion.FORGET,
)  # fmt: skip
BREAKERS_NOT_CLOSED = KeyFamily(
    name="breakers_not_closed", pattern="shut", type="set", owner="ledger, renames",
    value="The webhooks whose circuit breaker is not closed",
    lifetime="a member: until the breaker closes",
    deleted_by="the ledger; deleting the webhook", at_deletion=Deletion.FORGET,
)  # fmt: skip
PAUSED = KeyFamily(
    name="paused", pattern="paused", type="set", owner="ledger",
    value="The webhooks that are paused, disabled or not verified",
    lifetime="a member: until the webhook is resumed",
    deleted_by="the ledger; deleting the webhook", at_deletion=Deletion.FORGET,
)  # fmt: skip
GATES = KeyFamily(
    name="gates", pattern="gates", type="hash", owner="ledger, queues, renames",
    value="By webhook: the time before which none of its attempts starts (ms), because its circuit "
    "breaker is open or its rate limit is used up",
    lifetime="a field: until the breaker closes or the rate limit changes",
    deleted_by="the ledger; deleting the webhook", at_deletion=Deletion.FORGET,
)  # fmt: skip
THROTTLED = KeyFamily(
    name="throttled", pattern="throttled", type="hash", owner="ledger, renames",
    value="By webhook: until when its receiver has asked for no requests (ms), by `Retry-After`",
    lifetime="a field: until that time, and the next use of the queue",
    deleted_by="the scripts that read it; deleting the webhook",
    at_deletion=Deletion.FORGET_HISTORY,
)  # fmt: skip
FAILING = KeyFamily(
    name="failing", pattern="failing", type="hash", owner="ledger, renames",
    value="By webhook: the time since which all its attempts have failed (ms)",
    lifetime="a field: until an attempt succeeds",
    deleted_by="the ledger; deleting the webhook", at_deletion=Deletion.FORGET_HISTORY,
)  # fmt: skip
RATE = KeyFamily(
    name="rate", pattern="rate:{webhook}", type="list", owner="queues, renames",
    value="The latest starts of attempts, for the rate limits",
    lifetime="the longest period of the limits, plus a minute", expiry=Expiry.ALWAYS,
    deleted_by=_WITH_WEBHOOK, at_deletion=Deletion.FORGET,
)  # fmt: skip

# Retries by hand and replays
DEAD_LETTERS_IN_USE = KeyFamily(
    name="dead_letters_in_use", pattern="lent:{webhook}", type="zset", owner="runs, renames",
    value="The dead letters from which new runs were started, while these may need them",
    lifetime=_DEAD_LETTERS, expiry=Expiry.ALWAYS,
    deleted_by="the script that reads it, entry by entry",
)  # fmt: skip
DEAD_LETTER_USERS = KeyFamily(
    name="dead_letter_users", pattern="lenders", type="set", owner="runs, renames",
    value="The webhooks with a key `lent:{webhook}`",
    lifetime="a member: until that key is deleted and a caller purges or replays dead letters",
    deleted_by="the script that reads it, entry by entry",
)  # fmt: skip
USED_DEAD_LETTERS = KeyFamily(
    name="used_dead_letters", pattern="repeated:{webhook}", type="zset", owner="runs, renames",
    value="The dead letters from which a new run was started, by the time of that (ms)",
    lifetime=_DEAD_LETTERS, expiry=Expiry.ALWAYS, deleted_by="Redis, by expiry",
)  # fmt: skip
REPLAY = KeyFamily(
    name="replay", pattern="replay:{id}", type="hash", owner="replays, runs",
    value="A replay, its state and its progress",
    lifetime="until the replay has ended, then 30 days", expiry=Expiry.ONCE_ENDED, ttl=30 * DAY,
    deleted_by="Redis, by expiry; with 1,000 replays, adding another deletes the oldest ended one",
)  # fmt: skip
REPLAYS = KeyFamily(
    name="replays", pattern="replays", type="zset", owner="replays",
    value="All replays, by the time of their creation (ms)",
    lifetime="a member: until its replay is deleted and another is added",
    deleted_by="the script that adds a replay",
)  # fmt: skip
REPLAYING = KeyFamily(
    name="replaying", pattern="replaying", type="set", owner="replays",
    value="The replays that are running",
    lifetime="a member: until the replay is paused or has ended",
    deleted_by="the script that changes a replay's state",
)  # fmt: skip
REPLAY_LEASE = KeyFamily(
    name="replay_lease", pattern="replay:{id}:holder", type="string", owner="replays",
    value="The process that runs a replay",
    lifetime="seconds; renewed while it runs", expiry=Expiry.ALWAYS, deleted_by="that process",
)  # fmt: skip

# Ordered webhooks
ORDERED = KeyFamily(
    name="ordered", pattern="ordered:{webhook}", type="string", owner="order",
    value="The process that delivers to an ordered webhook",
    lifetime="seconds; renewed while it delivers", expiry=Expiry.ALWAYS, deleted_by="that process",
)  # fmt: skip
POSITION = KeyFamily(
    name="position", pattern="position:{webhook}", type="hash", owner="order, renames",
    value="By stream: the sequence up to which all deliveries of an ordered webhook are done; if "
    "the sequences of the stream have gone back, also when (Unix time)",
    lifetime="as its webhook",
    deleted_by="deleting the webhook; the process that delivers to it", at_deletion=Deletion.FORGET,
)  # fmt: skip

# The log and its repair
HIGH = KeyFamily(
    name="high", pattern="high", type="hash", owner="ledger",
    value="By stream: the highest sequence with a record",
    lifetime="without end", deleted_by=_NOTHING,
)  # fmt: skip
FORMAT = KeyFamily(
    name="format", pattern="format", type="string", owner="ledger",
    value="The format of the records; during a restoration `restoring`", lifetime="without end",
    deleted_by=_NOTHING,
)  # fmt: skip
CHECKPOINT = KeyFamily(
    name="checkpoint", pattern="checkpoint", type="hash", owner="checkpoints",
    value="By stream: the sequence up to which every event has its records",
    lifetime="without end", deleted_by=_NOTHING,
)  # fmt: skip
REREAD = KeyFamily(
    name="reread", pattern="reread", type="hash", owner="checkpoints",
    value="The streams that must be read again from their checkpoint: the number of their mark",
    lifetime="a field: until the stream has been read again", deleted_by="the repair",
)  # fmt: skip
RESET = KeyFamily(
    name="reset", pattern="reset", type="hash", owner="checkpoints",
    value="By stream: when the gateway found that its sequences had gone back (ms). Records and "
    "cached events from before are of events that the stream does not hold any more, unless they "
    "have the time of the event",
    lifetime="without end", deleted_by=_NOTHING,
)  # fmt: skip
REREADING = KeyFamily(
    name="rereading", pattern="rereading:{stream}", type="string", owner="checkpoints",
    value="The process that reads a stream again",
    lifetime="seconds; renewed while it reads", expiry=Expiry.ALWAYS, deleted_by="that process",
)  # fmt: skip

# Enrichment
EVENT = KeyFamily(
    name="event", pattern="event:{id}", type="hash", owner="event_cache",
    value="`e`: the attributes of an event that enrichment needs, a line each, and its enrichment, "
    "without what the key and the other lines say. `~` and a hash of the source follow where "
    "another source's event has the same id. Unreleased versions wrote `known`, which repeats that",
    lifetime="24 hours; 48 hours from each reading that is an hour after the event or later",
    expiry=Expiry.ALWAYS, ttl=DAY, deleted_by="Redis, by expiry",
)  # fmt: skip
ENRICHMENT = KeyFamily(
    name="enrichment", pattern="enrichment:{stream}:{seq}", type="string", owner="event_cache",
    value="The enrichment of an event that has no place in `event:{id}`, because its attributes "
    "are too long, or its source and id were used before for another event",
    lifetime="as `event:{id}`", expiry=Expiry.ALWAYS, ttl=DAY, deleted_by="Redis, by expiry",
)  # fmt: skip
LATEST_OF_SUBJECT = KeyFamily(
    name="latest_of_subject", pattern="related:subject:{subject}:latest", type="string",
    owner="event_cache", value="At least the 30 latest events of a subject, with their times in "
    "the log (us). A former version of it has `~` and its time (ms) behind the subject",
    lifetime="24 to 25 hours after the latest", expiry=Expiry.ALWAYS, ttl=DAY + HOUR,
    deleted_by="Redis, by expiry",
)  # fmt: skip
LATEST_OF_CORRELATION = KeyFamily(
    name="latest_of_correlation", pattern="related:correlation:{id}:latest", type="string",
    owner="event_cache", value="At least the 30 latest events of a correlation id, with their "
    "times in the log (us). A former version of it has `~` and its time (ms) behind the id",
    lifetime="24 to 25 hours after the latest", expiry=Expiry.ALWAYS, ttl=DAY + HOUR,
    deleted_by="Redis, by expiry",
)  # fmt: skip

# Finding events
FOUND = KeyFamily(
    name="found", pattern="found:{stream}:{slot}", type="string", owner="event_index",
    value="Positions of events by id, source, subject, causation and correlation: entries of 8 "
    "bytes. `{slot}` is the day, and the part of the digests",
    lifetime="from the day of its events: the retention of the stream (at most 400 days) and two "
    "days", expiry=Expiry.ALWAYS, deleted_by="Redis, by expiry",
)  # fmt: skip
INDEXED_FROM = KeyFamily(
    name="indexed_from", pattern="indexed_from", type="hash", owner="event_index",
    value="By stream: the sequence from which on `found:` has all events",
    lifetime="without end", deleted_by="the sequences of a stream that go back",
)  # fmt: skip

# Webhooks
WEBHOOK = KeyFamily(
    name="webhook", pattern="webhook:{webhook}", type="string", owner="webhooks",
    value="A copy of the webhook's definition, JSON. The registry in NATS has the original",
    lifetime="as its webhook",
    deleted_by="every process, once the registry has deleted the webhook",
)  # fmt: skip
EXPRESSION = KeyFamily(
    name="expression", pattern="expression:{webhook}:{digest}", type="hash",
    owner="expression_errors",
    value="How often an expression could not be evaluated, and the latest error; the digest is "
    "that of the expression, and of the registration if the webhook has an owner",
    lifetime="7 days after the latest error", expiry=Expiry.ALWAYS, ttl=7 * DAY,
    deleted_by="Redis, by expiry",
)  # fmt: skip

# Sources
SOURCE = KeyFamily(
    name="source", pattern="source:{source}:{registered}", type="hash", owner="source_counts",
    value="How many requests to a source had which outcome, when the latest was taken, and why the "
    "latest was refused; `registered`: Unix time in ms",
    lifetime="30 days after the latest request", expiry=Expiry.ALWAYS, ttl=30 * DAY,
    deleted_by="Redis, by expiry",
)  # fmt: skip

# History
HISTORY = KeyFamily(
    name="history", pattern="history:{step}", type="hash", owner="history",
    value="What the whole gateway counted, in steps of 10 s (the latest 360), 60 s (1,440) and "
    "900 s (2,880): by the number of the step, modulo how many are stored, an array of numbers",
    lifetime="31 days after the latest step with anything in it", expiry=Expiry.ALWAYS,
    ttl=31 * DAY, deleted_by="a field: the step that takes its place",
)  # fmt: skip
WEBHOOK_HISTORY = KeyFamily(
    name="webhook_history", pattern="webhook_history:{webhook}", type="hash",
    owner="history, renames",
    value="What a webhook's attempts were in steps of 300 s, of the last 24 hours: by hour, an "
    "array of arrays of numbers. `from`: since when (Unix time), if it was not counted before",
    lifetime="25 hours after the latest attempt", expiry=Expiry.ALWAYS, ttl=25 * 3600.0,
    deleted_by="deleting the webhook; another webhook, when 1,000 have a history",
    at_deletion=Deletion.FORGET_HISTORY,
)  # fmt: skip
WEBHOOKS_WITH_HISTORY = KeyFamily(
    name="webhooks_with_history", pattern="webhooks_with_history", type="zset",
    owner="history, renames",
    value="The webhooks with a key `webhook_history:{webhook}`, by the Unix time of their latest "
    "step",
    lifetime="25 hours after the latest attempt; so a member", expiry=Expiry.ALWAYS,
    ttl=25 * 3600.0, deleted_by="as `webhook_history:{webhook}`",
    at_deletion=Deletion.FORGET_HISTORY,
)  # fmt: skip
HISTORY_INCOMPLETE = KeyFamily(
    name="history_incomplete", pattern="history_incomplete", type="string", owner="history",
    value="That a webhook without a history may have had attempts: more webhooks had than have a "
    "history", lifetime="25 hours", expiry=Expiry.ALWAYS, ttl=25 * 3600.0,
    deleted_by="Redis, by expiry",
)  # fmt: skip
HISTORY_WRITTEN = KeyFamily(
    name="history_written", pattern="history_written:{process}", type="string", owner="history",
    value="The number of a process' latest write of the history: a write whose answer was lost is "
    "recognised when it is sent again",
    lifetime="an hour after the latest write", expiry=Expiry.ALWAYS, ttl=3600.0,
    deleted_by="Redis, by expiry",
)  # fmt: skip

# Subscribers
SUBSCRIPTION = KeyFamily(
    name="subscription", pattern="subscription:{id}", type="hash", owner="subscriptions",
    value="A live subscription: stream, principal, time of its start, start position, durable name",
    lifetime="90 s; renewed while the subscription is live", expiry=Expiry.ALWAYS, ttl=90.0,
    deleted_by="the process that serves it, when it ends",
)  # fmt: skip
DURABLE = KeyFamily(
    name="durable", pattern="durable:{stream}:{name}", type="hash", owner="durables",
    value="A durable name: the acknowledged position, and the subscription that uses the name",
    lifetime="30 days after its latest use", expiry=Expiry.ALWAYS, ttl=30 * DAY,
    deleted_by="Redis, by expiry",
)  # fmt: skip

# Access
BROWSER_TOKEN = KeyFamily(
    name="browser_token", pattern="browser_token:{id}", type="string", owner="browser_tokens",
    value="What a browser token opens and until when, JSON. It is valid without this entry, and "
    "cannot be made from it",
    lifetime="until the token expires", expiry=Expiry.ALWAYS, ttl=3600.0,
    deleted_by="revoking the token",
)  # fmt: skip
BROWSER_TOKENS = KeyFamily(
    name="browser_tokens", pattern="browser_tokens:{issuer}", type="zset", owner="browser_tokens",
    value="The browser tokens of an issuer, `all`: of all, by the time of their expiry (ms)",
    lifetime="an hour after the latest was issued", expiry=Expiry.ALWAYS, ttl=3600.0,
    deleted_by="issuing another token, and revoking, entry by entry",
)  # fmt: skip
KEYS_USED = KeyFamily(
    name="keys_used", pattern="keys_used", type="hash", owner="key_uses",
    value="By API key: when it was last used (ms), at most a minute behind",
    lifetime="a field: as its key", deleted_by="revoking the key",
)  # fmt: skip
SIGNED_REQUEST = KeyFamily(
    name="signed_request", pattern="signed:{client}:{message}", type="string",
    owner="signed_requests",
    value="The id of a signed request that was accepted: no other one with it is",
    lifetime="until its time is too old, at most 10 minutes", expiry=Expiry.ALWAYS, ttl=601.0,
    deleted_by="Redis, by expiry",
)  # fmt: skip
IDEMPOTENT_ANSWER = KeyFamily(
    name="idempotent_answer", pattern="idempotent:{principal}:{key}", type="string",
    owner="idempotent_answers",
    value="That a request with an `Idempotency-Key` runs, or its answer, encrypted under a key of "
    "which that header is a part; both names are digests",
    lifetime="24 hours; a minute, renewed, while the request runs", expiry=Expiry.ALWAYS, ttl=DAY,
    deleted_by="the process whose request was refused",
)  # fmt: skip
IDEMPOTENT_KEYS = KeyFamily(
    name="idempotent_keys", pattern="idempotent_keys:{principal}", type="zset",
    owner="idempotent_answers",
    value="The entries `idempotent:{principal}:…` of a caller, by the time of their expiry (ms)",
    lifetime="24 hours after the latest", expiry=Expiry.ALWAYS, ttl=DAY,
    deleted_by="the caller's next request with a key, entry by entry",
)  # fmt: skip

FAMILIES: tuple[KeyFamily, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, KeyFamily)
)


def family_of(key: str) -> KeyFamily | None:
    """The family of a key in Redis; None if it belongs to none."""
    matching = [family for family in FAMILIES if family.matches(key.removeprefix(PREFIX))]
    return max(matching, key=lambda family: sum(map(len, family.literals)), default=None)
