"""How objects get what they need, and tasks their owners: rules about all of the code."""

import ast
from collections.abc import Iterator

from support.source_code import modules_with

MAX_POSITIONAL = 4

_Function = ast.FunctionDef | ast.AsyncFunctionDef

# Modules that start tasks without the supervisor and `spawn`: the code that awaits them, and so
# sees an exception. Say the same of each module that you add.
OWN_TASKS = {
    "api/http/connection.py": "Exchange.run answers every exception of the application",
    "cli/commands/console.py": "awaited at the end of the command",
    "cli/demo/receivers.py": "awaited at the end of the demo",
    "cli/demo/run.py": "awaited, or ended by `end`, which logs",
    "cli/doctor/receivers.py": "awaited one after the other",
    "console/renewal.py": "awaited by all who need the session",
    "console/server.py": "awaited until the console ends",
    "delivery/ordered.py": "awaited, or ended by `end`, in the supervised task of the webhook",
    "delivery/ordered_line.py": "OrderedLine.run raises what they raise",
    "state/idempotent_answers.py": "awaited when the request has ended, and logged",
    "state/primary.py": "awaited by the caller",
    "streaming/hub.py": "logged and tried again when it is done",
    "tasks.py": "the supervisor itself",
}
GROUPS = {  # asyncio.TaskGroup awaits its tasks, and raises what they raise
    "cli/assistants/webhooks.py", "cli/send/session.py", "delivery/due_loop.py",
}  # fmt: skip
# Functions that an object gets and gives up again while it lives are its state, and no hooks.
OPENED_AND_CLOSED = {
    "observability/tracing/otlp.py": ["_waiting_metrics"],  # the latest that are not sent yet
    "streaming/send_buffer.py": ["send_now"],  # while the socket is open
}


def _constructors(module: ast.Module) -> Iterator[tuple[str, _Function]]:
    """Constructors, and the functions that build a stage."""
    for built in module.body:
        if isinstance(built, _Function) and built.name.startswith("build_"):
            yield built.name, built
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                    yield node.name, member


def _many_positional(module: ast.Module) -> list[str]:
    return [
        name
        for name, function in _constructors(module)
        if sum(
            argument.arg != "self" for argument in (*function.args.posonlyargs, *function.args.args)
        )
        > MAX_POSITIONAL
    ]


def _silent_defaults(module: ast.Module) -> list[int]:
    """Lines with a parameter that does nothing where it is not given."""
    return [
        default.lineno
        for function in ast.walk(module)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for default in (*function.args.defaults, *filter(None, function.args.kw_defaults))
        if isinstance(default, ast.Lambda)
        and isinstance(default.body, ast.Constant)
        and default.body.value is None
    ]


def _hooks(module: ast.Module) -> list[str]:
    """Attributes for a function that the constructor leaves empty and another method sets."""
    found = set()
    for built in ast.walk(module):
        if isinstance(built, ast.ClassDef):
            functions = [member for member in built.body if isinstance(member, _Function)]
            empty = {
                target.attr
                for function in functions
                if function.name == "__init__"
                for target, annotation, value in _assigned(function)
                if "Callable" in annotation and isinstance(value, ast.Constant) and not value.value
            }
            found |= {
                target.attr
                for function in functions
                if function.name != "__init__"
                for target, _, _ in _assigned(function)
                if target.attr in empty
            }
    return sorted(found)


def _assigned(function: _Function) -> Iterator[tuple[ast.Attribute, str, ast.expr | None]]:
    """The attributes that a method assigns, with the annotation and the value."""
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign):
            if isinstance(node.target, ast.Attribute):
                yield node.target, ast.unparse(node.annotation), node.value
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    yield target, "", node.value


def test_no_function_is_handed_over_after_the_constructor() -> None:
    found = {
        path.as_posix(): names
        for path, module in modules_with("Callable")
        if (names := _hooks(module))
    }
    assert found == OPENED_AND_CLOSED
    code = (
        "class A:\n    def __init__(self):\n        self.wake: Callable[[], None] | None = None\n"
    )
    code += "    def on_wake(self, wake):\n        self.wake = wake\n"
    assert _hooks(ast.parse(code)) == ["wake"]


def test_constructors_name_what_they_get_beyond_four_arguments() -> None:
    found = {
        str(path): names
        for path, module in modules_with("__init__", "def build_")
        if (names := _many_positional(module))
    }
    assert found == {}
    code = "class A:\n    def __init__(self, a, b, c, d, e, *, f): ...\n"
    code += "async def build_a(a, b, c, d, e): ...\nasync def build_b(a, b, c, d, *, e): ...\n"
    assert sorted(_many_positional(ast.parse(code))) == ["A", "build_a"]


def test_nothing_is_wired_with_a_function_that_does_nothing() -> None:
    found = {
        str(path): lines
        for path, module in modules_with("= lambda", "=lambda")
        if (lines := _silent_defaults(module))
    }
    assert found == {}
    code = "def f(wake=lambda: None): ...\nasync def g(*, on_end=lambda error: None): ...\n"
    assert _silent_defaults(ast.parse(code)) == [1, 2]


def test_every_task_has_an_owner_who_sees_its_exception() -> None:
    starting = {
        path.as_posix()
        for path, module in modules_with("create_task", "ensure_future")
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and node.attr in ("create_task", "ensure_future")
    }
    assert starting == OWN_TASKS.keys() | GROUPS
