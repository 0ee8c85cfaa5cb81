"""The reference page of the reasons for degraded health, generated from the list of their codes.

``python -m event_gateway.observability.health_reference`` prints it.
"""

from event_gateway.core.observability.reason import MAX_REASONS, MAX_TEXT, MAX_UNITED
from event_gateway.core.observability.reason_codes import CODES
from event_gateway.observability.health import DEGRADED_AFTER, RECOVERED_AFTER

HEAD = f"""# Reasons for degraded health

Generated from the code. `GET /v1/health`, `event-gateway health` and the events
`gateway.health.degraded` and `gateway.health.recovered` name each reason by its code:
[Health](../operations.md#health). A process tells the others at most {MAX_REASONS} reasons, with
texts of at most {MAX_TEXT} characters; at most {MAX_UNITED} are shown. An episode begins when there
have been reasons for {DEGRADED_AFTER:.0f} seconds, and ends when there have been none for
{RECOVERED_AFTER:.0f}.

| code | component | what it means | what to do |
| --- | --- | --- | --- |
"""


def reference() -> str:
    """The page as Markdown."""
    rows = [
        f"| `{name}` | {code.component} | {code.meaning} | {code.remedy}{_link(code.see)} |\n"
        for name, code in CODES.items()
    ]
    return HEAD + "".join(rows)


def _link(heading: str) -> str:
    anchor = heading.lower().replace(" ", "-")
    return f" [{heading}](../operations.md#{anchor})." if heading else ""


if __name__ == "__main__":
    print(reference(), end="")
