"""What a command says when the gateway is not there or refuses it: one line, with what to do."""

import socket
from typing import Any
from urllib.parse import urlsplit

from event_gateway.cli.client.output import fail
from event_gateway.cli.client.place import DATA_DIR, GatewayPlace

CONNECT_TIMEOUT = 2.0  # seconds; to this machine
ELSEWHERE = "or say where it is: --url, --data-dir or --context"
REFUSED = ("refused", "connect call failed")
NOT_TLS = ("wrong_version_number", "record layer failure", "unexpected_eof")


def check_runs(place: GatewayPlace, url: str) -> None:
    """Ends the command if the user has not said where the gateway is, and none runs at ``url``, the
    usual address."""
    if not place.directory_given:
        parts = urlsplit(url)
        try:
            address = (parts.hostname or "", parts.port or 80)
            with socket.create_connection(address, CONNECT_TIMEOUT):
                return
        except OSError:
            pass
    fail(_not_running(place, url))


def no_key(url: str, place: GatewayPlace) -> str:
    """The error of a command that has no key."""
    found = "" if place.data_dir is None else f", and none for it in {_shown(place)}"
    ways = "give --key-file or --key, set EVENT_GATEWAY_KEY, or add a context"
    return f"no key for {url}{found}: {ways}"


def refused(status: int, content: Any, place: GatewayPlace) -> str:
    """The error of an answer, from its problem details."""
    detail = content.get("detail") if isinstance(content, dict) else None
    detail = str(detail or f"the gateway answered {status}")
    if status == 401 and place.key:
        return f"the key is wrong ({place.key_by}): {detail}"
    if status == 403 and place.key and "scope" in detail:
        return f"the key may not do this ({place.key_by}): {detail}"
    return detail


def unreachable(error: str, place: GatewayPlace) -> str:
    """The error of a gateway that cannot be reached; ``error`` begins with its URL."""
    lowered = error.lower()
    url = place.url or error.partition(": ")[0]
    if any(sign in lowered for sign in REFUSED):
        if place.in_directory:
            return _not_running(place, url)
        return f"no gateway listens at {url}; start it, {ELSEWHERE}"
    if "certificate" in lowered and "--ca" not in lowered:
        return f"{error}; trust the authority that issued its certificate: --ca FILE"
    if any(sign in lowered for sign in NOT_TLS):
        return f"{error}; there is no TLS: use http://"
    return error


def _not_running(place: GatewayPlace, at: str) -> str:
    start = "event-gateway serve"
    if place.data_dir is not None and str(place.data_dir) != str(DATA_DIR):
        start += f" --data-dir {place.data_dir}"
    if place.directory_given or place.in_directory:
        return f"no gateway runs in {_shown(place)}; start one with: {start}"
    return f"no gateway runs in {_shown(place)}, nor at {at}; start one with: {start}, {ELSEWHERE}"


def _shown(place: GatewayPlace) -> str:
    directory = place.data_dir
    if directory is None:
        return "this directory"
    return str(directory) if directory.is_absolute() else f"./{directory}"
