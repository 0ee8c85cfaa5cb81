"""Where the gateway of a command is, with which key, and whom to trust.

URL, key and authority are each those of the first that has one:

1. the options --url, --key or --key-file, --ca
2. --context, or --data-dir: then nothing below counts
3. the environment: EVENT_GATEWAY_URL, _KEY, _KEY_FILE, _CA
4. the context in use (EVENT_GATEWAY_CONTEXT, or ``event-gateway context use``)
5. without a context in use, the gateway that runs with its data in ./data

The key of a context or of a data directory goes only to its own URL.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from event_gateway.cli.client.contexts import Context, Contexts
from event_gateway.cli.client.key_file import key_in
from event_gateway.cli.client.output import fail

DATA_DIR = Path("data")  # the default of ``serve``


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What one source says of the place; None or empty where it says nothing.

    ``key`` reads the key, and is called only if it is used. ``certificate``: the file with that of
    a gateway on this machine. ``by``: the source, as errors name it; ``key_by`` that of the key.
    ``own``: key and authority are for this URL alone."""

    url: str | None = None
    key: Callable[[], str] | None = None
    ca: Path | None = None
    certificate: str | None = None
    by: str = ""
    key_by: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class GatewayPlace:
    """What was found. ``data_dir``: the directory that was asked for, or looked into;
    ``directory_given``: the user named it; ``in_directory``: the URL was found there."""

    url: str | None = None
    key: str = ""
    ca: Path | None = None
    certificate: str | None = None
    key_by: str = ""
    data_dir: Path | None = None
    directory_given: bool = False
    in_directory: bool = False


def of_options(values: Mapping[str, Any], *, environment: bool) -> Stated:
    """What options say, or with ``environment`` the variables in their place: ``url``, ``key``,
    ``key_file``, ``ca``. Ends the command if both keys are given as options."""
    text, file = values.get("key"), values.get("key_file")
    names = (
        ("EVENT_GATEWAY_KEY", "EVENT_GATEWAY_KEY_FILE")
        if environment else ("--key", "--key-file")
    )  # fmt: skip
    if text and file and not environment:
        fail("--key and --key-file exclude each other", 2)
    key: Callable[[], str] | None = None
    if text:
        key = lambda: str(text)  # noqa: E731
    elif file:
        key = lambda: key_in(names[1], Path(file))  # noqa: E731
    return Stated(
        url=values.get("url"), key=key, ca=values.get("ca"), key_by=names[0] if text else names[1]
    )


def of_context(context: Context) -> Stated:
    """What a context says."""
    return Stated(
        url=context.url,
        key=context.read_key if context.key else None,
        ca=None if context.ca is None else Path(context.ca).expanduser(),
        key_by=f"the context {context.name}",
        own=True,
    )


def of_directory(data_dir: Path) -> Stated:
    """What the data directory of a gateway says that runs on this machine."""
    endpoints = endpoints_in(data_dir)
    file = data_dir / "admin.key"
    return Stated(
        url=endpoints.get("http"),
        key=(lambda: file.read_text().strip()) if os.access(file, os.R_OK) else None,
        certificate=endpoints.get("certificate"),
        key_by=str(file),
        own=True,
    )


def find_place(
    options: Mapping[str, Any],
    environment: Mapping[str, Any],
    contexts: Callable[[], Contexts],
    *,
    directory: Path = DATA_DIR,
    in_use: bool = True,
) -> GatewayPlace:
    """The place that the rules above give. ``options`` and ``environment``: ``url``, ``key``,
    ``key_file``, ``ca``, ``context``, ``data_dir``. ``directory``: looked into in place of ./data;
    ``in_use``: a context in use counts."""
    name, given = options.get("context"), options.get("data_dir")
    if name and given:
        fail("--context and --data-dir exclude each other", 2)
    stated = [of_options(options, environment=False)]
    looked_into: Path | None = None
    if name:
        stated.append(of_context(contexts().named(name)))
    elif given:
        looked_into = Path(given)
        stated.append(of_directory(looked_into))
    else:
        stated.append(of_options(environment, environment=True))
        current = (environment.get("context") or contexts().current) if in_use else None
        if current:
            stated.append(of_context(contexts().named(current)))
        else:
            looked_into = directory
            stated.append(of_directory(directory))
    url = next((place.url for place in stated if place.url), None)
    trusted = [place for place in stated if not place.own or _same(place.url, url)]
    keyed = next((place for place in trusted if place.key is not None), Stated())
    return GatewayPlace(
        url=url,
        key="" if keyed.key is None else keyed.key(),
        ca=next((place.ca for place in trusted if place.ca), None),
        certificate=next((place.certificate for place in trusted if place.certificate), None),
        key_by=keyed.key_by,
        data_dir=looked_into,
        directory_given=bool(given),
        in_directory=looked_into is not None
        and stated[-1].url is not None
        and url == stated[-1].url,
    )


def endpoints_in(data_dir: Path) -> dict[str, Any]:
    """The addresses of the gateway that runs with this data directory; empty if none is known."""
    try:
        places = json.loads((data_dir / "endpoints.json").read_text())
        return {**places, "http": str(places["http"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _same(url: str | None, other: str | None) -> bool:
    return url is not None and other is not None and url.rstrip("/") == other.rstrip("/")
