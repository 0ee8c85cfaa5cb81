"""The codes of warnings about definitions: the one table of them.

``docs/reference/warnings.md`` is made of it by ``python -m event_gateway.core.warning_codes``.
"""

# By code: what of a definition it is about, what it means, and what to do.
WARNING_CODES: dict[str, tuple[str, str, str]] = {
    "not_captured": (
        "webhook, stream", "NATS feeds no event of this pattern: no captured subject matches it",
        "Add its subject to `ingest.subjects`, or correct the pattern.",
    ),
    "wildcard_first": (
        "webhook, stream",
        "The pattern begins with a wildcard, for which the gateway captures no subject: of events "
        "on NATS it gets those on captured subjects",
        "Add other subjects to `ingest.subjects`.",
    ),
    "lifecycle_types": (
        "webhook, stream",
        "The pattern names lifecycle events, and there are none that it could get",
        "Correct the pattern; of a webhook with `namespaces`, leave it out.",
    ),
    "host_not_found": (
        "webhook", "The host of the URL has no address now: attempts fail with `NameResolution`",
        "Correct the name, or add it to the DNS.",
    ),
    "addresses_refused": (
        "webhook", "The egress guard refuses addresses of the host",
        "Correct the URL, or allow the network: [egress](../guides/egress.md).",
    ),
    "plain_http": (
        "webhook", "The URL is `http` and leads beyond this machine: nothing is encrypted",
        "Use `https`.",
    ),
    "idn_host": (
        "webhook", "The host has letters outside ASCII, and can look like another one",
        "Check the host in the detail.",
    ),
    "secret_missing": (
        "webhook, source",
        "There is no secret of this name: deliveries wait, and requests to the source are refused, "
        "until there is one",
        "`PUT /v1/secrets/{name}`.",
    ),
    "short_retries": (
        "webhook", "The retries end within seconds: a receiver that restarts misses events",
        "`retry_policy: standard`, or more attempts.",
    ),
    "retries_after_max_age": (
        "webhook",
        "The retries take longer than `max_age` allows: such a delivery ends as `Expired` before",
        "Shorten the retries, or raise `max_age` and `ingest.retention`.",
    ),
    "ordered_retries_block": (
        "webhook", "The webhook is ordered: while a delivery is retried, later events wait",
        "Shorten the retries, or order by a key.",
    ),
    "retry_on_without_network": (
        "webhook", "`retry_on` does not name `network`: a failed connection is not retried",
        "Add `network` to `retry_on`.",
    ),
    "sql_not_boolean": (
        "webhook", "A `sql` filter gives text or a number, and never true", "Compare the value.",
    ),
    "sql_no_attribute": (
        "webhook", "A `sql` filter uses a name that no attribute can have",
        "Correct the name: [CESQL](../guides/cesql.md).",
    ),
    "sql_no_function": (
        "webhook", "A `sql` filter calls a function that there is not, or with a number of "
        "arguments that it does not take", "Correct the call: [CESQL](../guides/cesql.md).",
    ),
    "unknown_stream": (
        "key", "The key names a stream that there is not: it reads the stream once there is one",
        "Correct the name, or create the stream.",
    ),
    "narrowed_admin": (
        "key", "The key has `admin` and is narrowed: it cannot change what concerns the whole "
        "installation", "Leave out what narrows it, or give it other scopes.",
    ),
    "no_effect": (
        "key", "A scope allows a narrowed key nothing", "Leave out the scope, or what narrows it.",
    ),
    "former_ended": (
        "key", "A rotation ended an earlier value before its time", "Rotate less often.",
    ),
    "not_listed": (
        "token", "Redis cannot be reached: the token is valid, and not in the list of tokens",
        "Nothing, or issue another one later.",
    ),
}  # fmt: skip

HEAD = """# Warnings

Generated from the code. The answer to a create or a change has a member `warnings`, a list of
`{"code", "detail"}`: what was accepted, and will not work as its owner may expect. The detail
begins with the key of the definition. `event-gateway check` prints the same of a configuration
file, but for those that need a running gateway. A code never changes its meaning.

| code | of | what it means | what to do |
| --- | --- | --- | --- |
"""


def reference() -> str:
    """The page as Markdown."""
    return HEAD + "".join(
        f"| `{code}` | {of} | {meaning} | {remedy} |\n"
        for code, (of, meaning, remedy) in WARNING_CODES.items()
    )


if __name__ == "__main__":
    print(reference(), end="")
