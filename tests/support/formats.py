"""Makes a data directory with every kind of stored data, which later versions must open.

``PYTHONPATH=tests python -m support.formats tests/data/NAME.tar.gz`` stores the directory that the
present version writes.

0.1.0-dev1 kept the records of finished deliveries for 7 days, whatever its configuration said. In
its archive they expire 50 years later than it wrote, so that it opens as it did in its first week.
"""

import asyncio
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from support.client import Client, connected, event
from support.program import Program
from support.receiver import receiving

# Long retentions, so that nothing in the archive expires before it is opened.
CONFIG: dict[str, Any] = {
    "delivery": {"allow_networks": ["127.0.0.0/8"]},
    "ingest": {"retention": "50y"},
    "dead_letters": {"retention": "50y"},
    "streams": {"history": {"subjects": ["old.*"], "retention": "50y"}},
}
STUBBORN = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "1s"}

# Its secret is a key of the gateway itself, which the test gets from the receiver.
SIGNED = {"security": {"auth_type": "bearer_token", "secret_name": "old-token"}}
RULED = {"schema": {"type": "object", "required": ["n"]}, "enforce": "reject", "owner": "old"}


async def make(archive: Path) -> None:
    """Runs a gateway, lets it do its main job, and archives its data directory."""
    with tempfile.TemporaryDirectory() as name:
        program = Program(Path(name), CONFIG)
        at = await program.start()
        async with receiving() as receiver, connected(at["http"], at["nats"], at["key"]) as client:
            receiver.answers["/waiting"] = receiver.answers["/dead"] = [500]
            key = {"name": "old-shop", "scopes": ["events:publish"]}
            value = await _written(client, "POST", "/v1/keys", key)
            await _written(client, "PUT", "/v1/secrets/old-token", {"value": value["key"]})
            made = {"name": "made", "subjects": ["old.*"], "retention": "50y"}
            await _written(client, "POST", "/v1/streams", made)
            for webhook, more in (
                ("taken", SIGNED), ("waiting", {"retry_policy": STUBBORN}),
                ("dead", {"retry_policy": {"max_attempts": 1}}),
            ):  # fmt: skip
                await client.webhook(
                    id=webhook, url=f"{receiver.url}/{webhook}", events=["old.*"], **more
                )
            await _written(client, "PUT", "/v1/event-types/old.ruled/v1", RULED)
            for number in range(3):
                await client.send(event("old.made", {"n": number}, id=f"old-{number}"))
            await client.nats.publish("user.x", b"no event")
            await client.until("taken", "old-2", "succeeded")
            await client.until("waiting", "old-2", "retrying")
            await client.until("dead", "old-2", "dead_letter")
            while not await client.stream_messages("GATEWAY_REJECTED"):
                await asyncio.sleep(0.05)
        assert await program.stop() == 0
        archive.parent.mkdir(exist_ok=True)
        with tarfile.open(archive, "w:gz") as tar:
            for path in sorted(program.data.iterdir()):
                if path.name != "logs" and path.suffix != ".conf":  # a start writes these again
                    tar.add(path, arcname=path.name, filter=_anonymous)


async def _written(client: Client, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.http.request(method, path, json=body)
    assert answer.is_success, answer.text
    return dict(answer.json())


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1])))
