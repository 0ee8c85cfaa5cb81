"""A Prometheus server that scrapes a gateway, with the configuration that the project ships."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from event_gateway.embedded.process import killed_with_parent
from support.patience import PATIENCE

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"
INTERVAL = "500ms"


class Prometheus:
    """A running server."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, **params: Any) -> Any:
        """The ``data`` of an answer of its API; an error fails the test."""
        answer = (await self._client.get(f"/api/v1/{path}", params=params)).json()
        assert answer["status"] == "success", (params, answer)
        return answer["data"]

    async def ever(self, expression: str, since: float, until: float) -> list[dict[str, Any]]:
        """The series that an expression had in a time, each with its values."""
        data = await self.get(
            "query_range", query=expression, start=since, end=until, step=INTERVAL
        )
        series: list[dict[str, Any]] = data["result"]
        return series

    async def until(self, expression: str, timeout: float = PATIENCE) -> list[dict[str, Any]]:
        """The series that an expression has now, once there is one."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    data = await self.get("query", query=expression)
                    series: list[dict[str, Any]] = data["result"]
                    if series:
                        return series
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"no series for {expression}") from None


def _configuration(directory: Path, target: str, key: str) -> Path:
    """The shipped configuration with the test's target and key, and short intervals."""
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    (scrape,) = config["scrape_configs"]
    (static,) = scrape["static_configs"]
    assert static["targets"] == ["127.0.0.1:8080"]
    static["targets"] = [target]
    (directory / scrape["authorization"]["credentials_file"]).write_text(key)
    config["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    for name in config["rule_files"]:
        (directory / name).write_text((SHIPPED / name).read_text())
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextlib.asynccontextmanager
async def scraping(directory: Path, gateway_url: str, key: str) -> AsyncIterator[Prometheus]:
    """Starts a server that scrapes a gateway, in a folder of its own."""
    directory.mkdir()
    target = gateway_url.removeprefix("http://")
    process = await asyncio.create_subprocess_exec(
        "prometheus", f"--config.file={_configuration(directory, target, key)}",
        f"--storage.tsdb.path={directory / 'data'}", "--web.listen-address=127.0.0.1:0",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        preexec_fn=killed_with_parent,
    )  # fmt: skip
    assert process.stderr is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        address = await asyncio.wait_for(_address(process.stderr), PATIENCE)
        reading = asyncio.create_task(process.stderr.read())  # a full pipe would stop it
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=PATIENCE) as client:
            yield Prometheus(client)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if reading is not None:
            await reading


async def _address(errors: asyncio.StreamReader) -> str:
    """The address on which it listens, which its log says."""
    seen = b""
    while line := await errors.readline():
        seen += line
        if match := re.search(rb'msg="Listening on" address=(\S+)', line):
            return match[1].decode()
    raise AssertionError(seen.decode())
