"""uvicorn as the gateway runs it: it does not wake up to look whether it is to end."""

import asyncio
import socket

import httpx
import uvicorn
from starlette.responses import Response

from event_gateway.quiet_server import QuietServer
from support.patience import PATIENCE


class _Counted(QuietServer):
    ticks = 0

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        return await super().on_tick(counter)


async def test_it_looks_only_when_the_date_is_another_one_or_it_is_to_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(Response("ok"), log_config=None, lifespan="off")
        server = _Counted(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(timeout=PATIENCE) as client:
            while not server.started:
                await asyncio.sleep(0.01)
            answer = await client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
            assert answer.headers["date"]
            while server.ticks < 2:
                await asyncio.sleep(0.01)
        assert server.ticks <= asyncio.get_running_loop().time() - began + 2
        server.finish()
        async with asyncio.timeout(PATIENCE):
            await serving
