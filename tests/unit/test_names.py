"""One word for one thing: a name of a class is that of one class."""

import ast
import re
from collections import defaultdict
from collections.abc import Mapping

from support.source_code import SOURCES

# Faster than to parse all modules. It also finds what stands in texts.
_CLASS = re.compile(r"^ *class ([A-Za-z]\w*)", re.MULTILINE)

_Modules = Mapping[str, tuple[str, ...]]

# Names that modules share, and why. An entry that is not needed any more fails the test: the list
# only becomes shorter. For another class, find another word.
SHARED: _Modules = {
    # A tool for assistants shows what the gateway has. The tool's `outputSchema` has the name.
    "Attempt": ("cli/assistants/deliveries.py", "core/webhook/delivery.py"),
    "Delivery": ("cli/assistants/deliveries.py", "core/webhook/delivery.py"),
    "DeliveryPage": ("cli/assistants/deliveries.py", "lookup/deliveries.py"),
    "EventPage": ("api/answers/events.py", "cli/assistants/events.py"),
    "EventType": ("cli/assistants/gateway.py", "core/schema/event_type.py"),
    "HealthReason": ("api/answers/health.py", "cli/assistants/gateway.py"),
    "Matches": ("api/answers/webhooks.py", "cli/assistants/webhooks.py"),
    "Related": ("cli/assistants/events.py", "lookup/relations.py"),
    "Wait": ("cli/assistants/events.py", "lookup/waiting.py"),
    # An answer of the API shows what the gateway has. The OpenAPI document has the name.
    "ExpressionError": ("api/answers/webhooks.py", "core/cesql/errors.py"),
    "FailedCondition": (
        "api/answers/webhooks.py", "lookup/webhook_account.py", "routing/explain.py",
    ),
    "Resealed": ("api/answers/secrets.py", "core/access/sealing.py"),
    "StreamContents": ("api/answers/streams.py", "core/streams/definition.py"),
    "StreamMessage": ("api/answers/streams.py", "streaming/stream_message.py"),
    # Two things. The first is in a tool's `outputSchema`, the second in the OpenAPI document.
    "Status": ("cli/assistants/gateway.py", "core/webhook/delivery.py"),
    # Both are in the JSON Schema of the configuration, the second in the OpenAPI document too.
    "TlsModel": ("config/server_model.py", "config/webhook_model.py"),
}  # fmt: skip


def _modules_of_classes() -> _Modules:
    """The modules that declare a class of a name, but for the generated client. A class whose name
    begins with an underscore is its module's own."""
    modules: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCES.rglob("*.py")):
        module = path.relative_to(SOURCES).as_posix()
        if not module.startswith("client/"):
            for name in set(_CLASS.findall(path.read_text())):
                modules[name].append(module)
    return {
        name: tuple(module for module in found if len(found) == 1 or _declares(module, name))
        for name, found in modules.items()
    }


def _declares(module: str, name: str) -> bool:
    tree = ast.parse((SOURCES / module).read_text())
    return any(isinstance(node, ast.ClassDef) and node.name == name for node in ast.walk(tree))


def _wrong(modules: _Modules, shared: _Modules) -> _Modules:
    """What is in two modules and not in the list, or in the list and not in those modules."""
    twice = {name: found for name, found in modules.items() if len(found) > 1}
    return {
        name: twice.get(name, ())
        for name in sorted(twice.keys() | shared.keys())
        if twice.get(name) != shared.get(name)
    }


def test_a_name_of_a_class_is_that_of_one_class() -> None:
    modules = _modules_of_classes()
    assert len(modules) > 1000
    assert _wrong(modules, SHARED) == {}


def test_a_shared_name_is_found_and_so_is_an_entry_without_need() -> None:
    modules = {"Lane": ("a.py", "b.py"), "Hub": ("a.py",), "Feed": ("a.py", "b.py", "c.py")}
    assert _wrong(modules, {}) == {"Lane": ("a.py", "b.py"), "Feed": ("a.py", "b.py", "c.py")}
    assert _wrong(modules, {"Lane": ("a.py", "b.py"), "Feed": ("a.py", "b.py", "c.py")}) == {}
    needless = {"Lane": ("a.py", "b.py"), "Feed": ("a.py", "b.py"), "Hub": ("a.py", "b.py")}
    assert _wrong(modules, needless) == {"Feed": ("a.py", "b.py", "c.py"), "Hub": ()}
