"""The reference page of the scopes, generated from the core's list.

``python -m event_gateway.config.scope_reference`` prints it.
"""

from event_gateway.config.key_model import MAX_ITEMS, MAX_NAME
from event_gateway.core.access.api_key import FORM
from event_gateway.core.access.narrowing import MAX_NAMESPACE
from event_gateway.core.access.scope import SCOPES

HEAD = """# Scopes

Generated from the code. A caller has scopes, whatever proves who it is: an API key, or another
method of [Who may call](../guides/access.md). A route that needs a scope answers 403 without it,
and names it.

| scope | what it allows |
| --- | --- |
"""
NARROWING = f"""
## What narrows scopes

| member of a key | meaning | limits |
| --- | --- | --- |
| `namespaces` | only events with one of these values of `data.namespace` | 1 to {MAX_ITEMS}, \
each 1 to {MAX_NAMESPACE} printable characters, compared as text |
| `types` | only events whose type matches one of these patterns (`*` one token, `>` the rest) \
| 1 to {MAX_ITEMS} |
| `streams` | only these named streams | 1 to {MAX_ITEMS} |

`null`, the default, narrows nothing. A narrowed caller is no operator: what concerns the whole
installation (keys, streams' definitions, event types, rejected input, the repair) answers 403, also
with `admin`.

## The form of a key

`{FORM}`: `egk_`, the id of the key, `_`, 32 random letters and digits, and 6 that are a checksum
(CRC-32 of all before, in base 62 with the digits `0-9A-Za-z`). Give this regular expression to
your secret scanner. A key in the file `admin.key` may have another form: those of former versions
are `egk_[A-Za-z0-9_-]{{43}}`. Tokens for browsers begin with `egt_`.

A name of a key has 1 to {MAX_NAME} printable characters.
"""


def reference() -> str:
    """The page as Markdown."""
    rows = [f"| `{name}` | {meaning} |\n" for name, meaning in SCOPES.items()]
    return HEAD + "".join(rows) + NARROWING


if __name__ == "__main__":
    print(reference(), end="")
