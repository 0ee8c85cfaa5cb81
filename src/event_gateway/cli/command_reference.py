"""The page of the command line: ``python -m event_gateway.cli.command_reference``."""

from collections.abc import Iterator
from typing import Any

import typer

from event_gateway.cli.main import app

HEAD = """# Commands

All commands, with their arguments and options. This page is generated; `event-gateway COMMAND
--help` says the same. [Use the command line](../guides/command-line.md) is the guide.

Commands that call a gateway have these options, which the tables below leave out: `--url`, `--key`,
`--key-file`, `--ca`, `--context`, `--data-dir`, and `--json` for output that programs read.
"""
COMMON = {"--url", "--key", "--key-file", "--ca", "--context", "--data-dir", "--json", "--help"}


def reference() -> str:
    """The page as Markdown."""
    return HEAD + "".join(_section(words, command) for words, command in all_commands())


def all_commands() -> Iterator[tuple[str, Any]]:
    """Each command with the words that call it, such as ``webhooks list``."""
    root: Any = typer.main.get_command(app)
    for name in root.list_commands(None):
        yield from _of(root.get_command(None, name), name)


def _of(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _of(inner, f"{words} {name}")
    else:
        yield words, command


def _section(words: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    calls = any("--url" in each.opts for each in options)
    left_out = COMMON if calls else {"--help"}
    options = [each for each in options if not left_out & set(each.opts) and not each.hidden]
    usage = " ".join(["event-gateway", words, *(each.name.upper() for each in arguments)])
    text = (
        f"\n## {words}\n\n{_escaped(command.help)}\n\n    {usage}{' [OPTIONS]' * bool(options)}\n"
    )
    if rows := [*map(_row, [*arguments, *options])]:
        text += "\n| argument or option | meaning |\n| --- | --- |\n" + "".join(rows)
    if command.epilog:
        text += f"\n{_example(command.epilog)}\n"
    return text


def _row(parameter: Any) -> str:
    name = ", ".join(f"`{each}`" for each in [*parameter.opts, *parameter.secondary_opts])
    text = _escaped(getattr(parameter, "help", "") or "").replace("|", "\\|")
    default = parameter.default
    if default not in (None, "") and not isinstance(default, bool) and "Default:" not in text:
        text += (
            f" Default: `{default:g}`." if isinstance(default, float) else f" Default: `{default}`."
        )
    return f"| {name} | {text} |\n"


def _example(epilog: str) -> str:
    parts = []
    for part in epilog.split("\n\n"):
        label, _, rest = part.partition("Example: ")
        parts.append(f"Example: `{rest}`" if not label and rest else _escaped(part))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    for mark in "*<_[":
        text = text.replace(mark, f"\\{mark}")
    return text


if __name__ == "__main__":
    print(reference(), end="")
