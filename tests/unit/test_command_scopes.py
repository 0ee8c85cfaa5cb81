"""Each command that talks to a gateway says which scope its key needs, and gives an example."""

import shlex

from event_gateway.cli.command_reference import all_commands
from event_gateway.cli.examples import EXAMPLES
from event_gateway.core.access.scope import SCOPES


def test_the_help_of_a_command_names_its_scope() -> None:
    tried = 0
    for path, command in all_commands():
        if path == "console":  # its users sign in with keys of any scope
            continue
        if any("--context" in parameter.opts for parameter in command.params):
            assert command.epilog, f"{path}: name its scope in cli/scopes.py"
            assert command.epilog.removesuffix(".").split()[-1] in SCOPES
            tried += 1
    assert tried > 40


def test_the_help_of_a_command_has_an_example_that_it_takes() -> None:
    commands = dict(all_commands())
    assert set(EXAMPLES) == set(commands)
    for path, command in commands.items():
        example = EXAMPLES[path]
        assert f"event-gateway {path}".rstrip() in example, path
        assert example in command.epilog
        called = example.split(f"event-gateway {path}", 1)[1]
        words = shlex.split(called.split(" | ")[0].split(" < ")[0].split(" > ")[0])
        command.make_context(path, words)
