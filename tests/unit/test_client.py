"""The Python client is that of the routes, and can be used alone."""

import ast
import subprocess
import sys

from event_gateway.api.openapi.python_client import FOLDER, offline_document, sources, written
from event_gateway.client.requests import EventStream, in_path, parameters


def code_of(text: str) -> str:
    """The code of a module, without its texts for people."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    return ast.dump(tree)


def test_the_generated_methods_and_models_are_up_to_date() -> None:
    files = sources(offline_document())
    assert written() == {FOLDER / name for name in files}, "write them with make docs"
    for name, text in files.items():
        there = (FOLDER / name).read_text()
        assert code_of(there) == code_of(text), f"{name}: write it with make docs"


def test_the_client_imports_nothing_of_the_gateway() -> None:
    program = (
        "import sys, event_gateway.client\n"
        "print(*sorted(name for name in sys.modules if name.startswith('event_gateway.')))\n"
        "assert not {'fastapi', 'nats', 'redis', 'pydantic', 'msgspec', 'typer'} & {*sys.modules}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name.startswith("event_gateway.client") for name in done.stdout.split())


def test_the_parts_of_a_request() -> None:
    assert in_path("a/b ü") == "a%2Fb%20%C3%BC"
    assert parameters({"all": True, "limit": 5, "cursor": None}) == {"all": "true", "limit": "5"}


def test_events_of_a_stream_are_read_from_its_lines() -> None:
    reader, read = EventStream(), []
    lines = [": hello", "id: 7", "", "id: 8", 'data: {"id":', 'data: "x"}', "", "data:{}", ""]
    lines += ["event: caught_up", "id: 9", 'data: {"seq": 9}', ""]  # none of the stream's events
    for line in lines:
        read += reader.take(line)
    assert read == [(8, {"id": "x"}), (8, {})]
