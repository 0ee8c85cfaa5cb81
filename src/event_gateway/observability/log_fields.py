"""The fields of log lines: one name for one thing, in every line of every module.

``python -m event_gateway.observability.log_fields`` prints the reference page. A test holds the
calls in the code against this table.
"""

# Every line has these.
COMMON = {
    "timestamp": "When, in UTC (RFC 3339, with microseconds).",
    "level": "`debug`, `info`, `warning`, `error` or `critical`.",
    "message": "What happened. The same text for the same thing: details are in the fields.",
    "logger": "The module that says so, such as `delivery.circuit_breaker`; or the library.",
    "process": "The process, by its id in the system.",
}

FIELDS = {
    # Events and deliveries
    "event_id": "The id of the event.",
    "event_type": "Its type.",
    "source": "Its source.",
    "correlation_id": "Its extension `correlationid`.",
    "trace_id": "The trace: that of the event, and of the `traceparent` that the receiver gets.",
    "webhook": "The id of the webhook.",
    "attempt": "The number of the attempt, from 1.",
    "attempts": "How many attempts were made.",
    "max_attempts": "How many the retry policy allows.",
    "outcome": "What follows a failed attempt: `retry`, `dead_letter` or `cancelled`.",
    "next_attempt_at": "When the next attempt is due.",
    "error_type": "The kind of the failure, as in the API and the metrics.",
    "status_code": "The status of the receiver's response.",
    "duration_ms": "How long the attempt took, in milliseconds.",
    "run": "The run of the delivery: 1, and one more for each replay or retry by hand.",
    "dead_letter_seq": "The sequence of the dead letter in its stream.",
    "host": "A host: of a receiver, or of another process.",
    "transformation": "The name of a transformation.",
    "requests_per_minute": "How many requests a verified receiver allows.",
    # The log and its streams
    "stream": "The JetStream stream.",
    "streams": "Several of them.",
    "seq": "The sequence of a message in its stream.",
    "first_seq": "The first sequence that the stream has, or that an event had before.",
    "last_seq": "The last sequence that the stream has.",
    "known_last_seq": "The last sequence that the gateway had seen before.",
    "floor": "The sequence up to which the router has processed the stream.",
    "subject": "The NATS subject.",
    "patterns": "Patterns of NATS subjects.",
    "path": "A path: of an HTTP request, or a JSON Pointer into the data of an event.",
    # Causes
    "error": "What failed, in the words of the library or the server.",
    "reason": "Why, in the words of the gateway.",
    "exception": "The traceback, in one string. Without the texts of the exceptions where these "
    "may quote the data of an event.",
    "problem": "A mistake in the configuration file: file, line, key and reason.",
    "lines_left_out": "How many lines were left out before this one: there were too many in a "
    "second.",
    # Things by name
    "task": "The background task.",
    "alert": "The name of the alert.",
    "about": "Which of several tasks of that name.",
    "key": "An id of an API key, a key of the configuration, or a key of the registry.",
    "secret": "The name of a secret. Never its value.",
    "issuer": "The name of a token issuer.",
    "subscription": "The id of a live subscription.",
    "durable": "A durable name.",
    "replay": "The id of a replay.",
    "state": "The state of a replay.",
    "server": "An embedded server: `nats-server` or `valkey`.",
    "file": "A file of the gateway's own.",
    "endpoint": "The host of a token endpoint.",
    "address": "The network address of a client.",
    "caller": "Whom a refusal is about: an issuer, a client or a source.",
    "request_id": "The id of the API request (`X-Request-Id`).",
    "url": "The URL of a server, without its password.",
    "revision": "A revision of the registry.",
    "applied": "The revision of the registry that this process has applied.",
    "waiting_for": "Processes that have not applied a revision yet.",
    "pid": "The process id of another process.",
    "status": "The exit status of a process.",
    "step": "A step of the drain.",
    # Figures
    "count": "How many.",
    "events": "How many events.",
    "queued": "How many deliveries were queued.",
    "webhooks": "How many webhooks, or their ids.",
    "seconds": "For how long, or after how long, in seconds.",
    "size": "A size in bytes.",
    "max_bytes": "A limit in bytes.",
    "free": "Free bytes on the disk.",
    "port": "A port.",
    "former": "The id that a webhook had before it was renamed.",
    "former_port": "The port before.",
    "former_keys": "How many keys of an issuer stay in use.",
    "expires": "When a certificate expires.",
    "server_output": "The last line that an embedded server has printed.",
}

HEAD = """# Log fields

Generated from the code. How to read and configure the log: [Logs](../guides/logs.md).

A line has the fields that apply, and each name means the same in every line.
"""


def reference() -> str:
    """The page as Markdown."""
    out = [HEAD]
    for title, fields in (("In every line", COMMON), ("In the lines that they apply to", FIELDS)):
        rows = "\n".join(f"| `{name}` | {text} |" for name, text in fields.items())
        out.append(f"## {title}\n\n| field | meaning |\n| --- | --- |\n{rows}\n")
    return "\n".join(out)


if __name__ == "__main__":
    print(reference(), end="")
