"""A proxy before a real server, that does to requests what networks and servers do to them."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

# What may become of a request.
PASS, REFUSE, RESET, LOSE_REPLY, STALL = "pass", "503", "reset", "lose reply", "stall"

Fate = Callable[[web.BaseRequest], str]


@dataclass
class FaultProxy:
    """Where it listens, what it does, and what it has done."""

    fate: Fate
    endpoint: str = ""
    done: list[tuple[str, str]] = field(default_factory=list)  # (method, fate) of each request

    async def handle(self, request: web.BaseRequest, server: str) -> web.StreamResponse:
        fate = self.fate(request)
        self.done.append((request.method, fate))
        if fate == REFUSE:
            return web.Response(status=503)
        if fate == STALL:
            await asyncio.sleep(3600)
        if fate == RESET:
            return _reset(request)
        response = await _forward(request, server)
        return _reset(request) if fate == LOSE_REPLY else response


@contextmanager
def fault_proxy(server: str, fate: Fate = lambda _: PASS) -> Iterator[FaultProxy]:
    """Run a proxy before `server`, an endpoint such as http://127.0.0.1:7480."""
    proxy, loop = FaultProxy(fate), asyncio.new_event_loop()
    started = threading.Event()

    async def start() -> None:
        runner = web.ServerRunner(web.Server(lambda request: proxy.handle(request, server)))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.endpoint = site.name if ":0" not in site.name else _address(site)
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(_end_all_tasks(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _end_all_tasks() -> None:
    """Let no request outlive the proxy: those that stall would do so for an hour."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _address(site: web.TCPSite) -> str:
    host, port = site._server.sockets[0].getsockname()[:2]
    return f"http://{host}:{port}"


def _reset(request: web.BaseRequest) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _forward(request: web.BaseRequest, server: str) -> web.Response:
    # The Host header stays, since the signature covers it.
    skipped = {"Transfer-Encoding", "Content-Encoding", "Content-Length", "Connection"}
    body = await request.read()
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(
            request.method, server + request.raw_path, headers=request.headers, data=body or None
        ) as answer,
    ):
        headers = {k: v for k, v in answer.headers.items() if k not in skipped}
        if request.method == "HEAD":
            headers["Content-Length"] = answer.headers.get("Content-Length", "0")
        return web.Response(status=answer.status, headers=headers, body=await answer.read())
