"""The reference page of the problems that the API answers with, generated from their table.

``python -m event_gateway.api.server.problem_reference`` prints it.
"""

from event_gateway.api.server.problem_types import TYPES, ProblemType

HEAD = """# Problems

Generated from the code. An error is answered with a problem object
([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), content type `application/problem+json`:

```json
{
  "type": "/problems/already-exists",
  "title": "Already exists",
  "status": 409,
  "detail": "the webhook crm exists already"
}
```

`type` is a path of the gateway itself, which answers it with a description, without a key. A client
decides by `type`, or by `status` where it needs to know no more; `title` and `detail` are for
people, and their words may change. A type never changes its meaning or its status. Some problems
have more members: `errors` lists what is wrong, each with its `detail` and its `key` in the body,
or its `index` in a batch; `outcome` says of an event whether the log may have it.

| type | status | what it means | what to do |
| --- | --- | --- | --- |
"""


def reference() -> str:
    """The page as Markdown."""
    return HEAD + "".join(
        f"| `{kind.uri}` | {kind.status} | {kind.meaning} | {kind.remedy} |\n"
        for kind in sorted(TYPES.values(), key=lambda kind: kind.status)
    )


def description(kind: ProblemType) -> str:
    """What the gateway answers at the path of a type, as plain text."""
    return f"{kind.status} {kind.title}\n\n{kind.meaning}\n{kind.remedy}\n"


if __name__ == "__main__":
    print(reference(), end="")
