"""An HTTP server in a thread of the test's own process."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp import web
from yarl import URL

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# Of one connection only, or no longer true once a body was read.
NOT_PASSED_ON = {"Transfer-Encoding", "Content-Encoding", "Content-Length", "Connection"}


@contextmanager
def served(handle: Handler) -> Iterator[str]:
    """Serve on a free port of this machine, and give the endpoint, such as http://127.0.0.1:41234."""
    loop, started, endpoint = asyncio.new_event_loop(), threading.Event(), ""

    async def start() -> None:
        nonlocal endpoint
        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        endpoint = f"http://{host}:{port}"
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield endpoint
    finally:
        asyncio.run_coroutine_threadsafe(_end_all_tasks(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def ask(method: str, url: str, headers: dict[str, str], body: bytes) -> web.Response:
    """Pass a request on, and return the answer as one that can be passed back."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(method, URL(url, encoded=True), headers=headers, data=body or None) as answer,
    ):
        passed = {k: v for k, v in answer.headers.items() if k not in NOT_PASSED_ON}
        if method == "HEAD":
            passed["Content-Length"] = answer.headers.get("Content-Length", "0")
        return web.Response(status=answer.status, headers=passed, body=await answer.read())


async def _end_all_tasks() -> None:
    """Let no request outlive the server: those that stall would do so for an hour."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
