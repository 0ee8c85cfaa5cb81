"""The reference page of the tools, generated from their declarations.

``python -m event_gateway.cli.assistants.reference FILE`` writes it. It needs the extra ``mcp``:
without that the file stays as it is.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from event_gateway.cli.assistants.server import build_server, tools_of
from event_gateway.client import AsyncGatewayClient

HEAD = """# Tools for assistants

Generated from the code. `event-gateway mcp` offers these tools to an assistant, as far as the
scopes of its key allow them: [Connect an assistant](../guides/assistants.md). Each answers an
object whose JSON Schema the server tells (`outputSchema`).
"""


def reference() -> str:
    """The page as Markdown."""
    gateway = AsyncGatewayClient("http://127.0.0.1:8080")
    needed = {each.tool.__name__: each for each in tools_of(gateway, None)}
    server = build_server(gateway, None, allow_changes=True)
    tools: list[Any] = asyncio.run(server.list_tools())
    parts = [HEAD]
    for tool in tools:
        offered = needed[tool.name]
        scopes = " or ".join(f"`{scope}`" for scope in offered.scopes)
        flag = " Offered only with `--allow-changes`." if offered.changes else ""
        about = " ".join(tool.description.split())
        parts.append(f"\n## {tool.name}\n\n{about}\n\nNeeds the scope {scopes}.{flag}\n")
        parts.append(_arguments(tool.input_schema))
    return "".join(parts)


def _arguments(schema: dict[str, Any]) -> str:
    arguments: dict[str, Any] = schema["properties"]
    if not arguments:
        return ""
    required = schema.get("required", ())
    rows = [
        f"| `{name}` | {_type(each)} | {'required' if name in required else _default(each)} | "
        f"{each.get('description', '')} |\n"
        for name, each in arguments.items()
    ]
    head = "\n| argument | type | default | meaning |\n| --- | --- | --- | --- |\n"
    return head + "".join(rows)


def _type(schema: dict[str, Any]) -> str:
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    return " or ".join(map(_one_type, options)) or "any JSON"


def _one_type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if "maximum" in schema:
        return f"{schema['type']}, {schema['minimum']} to {schema['maximum']}"
    return str(schema.get("type", "any JSON"))


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    return f"`{str(value).lower()}`" if value not in (None, "") else "none"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference())
