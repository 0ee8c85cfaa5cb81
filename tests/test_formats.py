"""What earlier versions have written is carried on with; what newer ones wrote is refused."""

import tarfile
from pathlib import Path

import pytest

from client import connected, event
from formats import CONFIG
from program import Program
from receiver import Receiver

ARCHIVES = sorted((Path(__file__).parent / "data").glob("*.tar.gz"))


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
async def test_the_data_of_an_earlier_version(
    tmp_path: Path, receiver: Receiver, archive: Path
) -> None:
    program = Program(tmp_path, CONFIG)
    with tarfile.open(archive) as tar:
        tar.extractall(program.data, filter="data")
    try:
        at = await program.start()
        assert at["key"].strip() in program.data.joinpath("admin.key").read_text()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            listed = (await client.http.get("/v1/webhooks")).json()["items"]
            assert {one["id"] for one in listed} == {"dead", "taken", "waiting"}
            for one in listed:
                body = one | {"url": f"{receiver.url}/{one['id']}"}
                answer = await client.http.put(f"/v1/webhooks/{one['id']}", json=body)
                assert answer.status_code == 200, answer.text
            # What waited is carried on with, and what was done is not done again.
            got = await receiver.until(3, "/waiting")
            assert {one.json["id"] for one in got} == {"old-0", "old-1", "old-2"}
            assert all(int(one.headers["x-event-gateway-attempt"]) > 1 for one in got)
            record = await client.until("waiting", "old-1", "succeeded")
            assert len(record["attempts"]) > 1
            sent = event("old.new")
            await client.send(sent)
            for path in ("/taken", "/waiting", "/dead"):
                assert (await receiver.until(4 if path == "/waiting" else 1, path))[-1].json[
                    "id"
                ] == sent["id"]
            assert len(await client.all_of("GATEWAY_DEAD_LETTERS")) == 3
            async with client.websocket() as socket:
                await socket.ask(action="subscribe", stream="history", **{"from": "first"})
                seen = [(await socket.next())["event"]["id"] for _ in range(4)]
            assert seen == ["old-0", "old-1", "old-2", sent["id"]]
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output
