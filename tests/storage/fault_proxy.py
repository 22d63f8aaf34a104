"""A proxy before a real server, that does to requests what networks and servers do to them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.storage.http_server import ask, served

# What may become of a request.
PASS, REFUSE, RESET, LOSE_REPLY, STALL = "pass", "503", "reset", "lose reply", "stall"

Fate = Callable[[web.BaseRequest], str]


@dataclass
class FaultProxy:
    """Where it listens, what it does, and what it has done."""

    server: str
    fate: Fate
    endpoint: str = ""
    done: list[tuple[str, str]] = field(default_factory=list)  # (method, fate) of each request

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        fate = self.fate(request)
        self.done.append((request.method, fate))
        if fate == REFUSE:
            return web.Response(status=503)
        if fate == STALL:
            await asyncio.sleep(3600)
        if fate == RESET:
            return _reset(request)
        # The Host header stays, since the signature covers it.
        url, headers = self.server + request.raw_path, dict(request.headers)
        response = await ask(request.method, url, headers, await request.content.read())
        return _reset(request) if fate == LOSE_REPLY else response


@contextmanager
def fault_proxy(server: str, fate: Fate = lambda _: PASS) -> Iterator[FaultProxy]:
    """Run a proxy before `server`, an endpoint such as http://127.0.0.1:7480."""
    proxy = FaultProxy(server, fate)
    with served(proxy.handle) as proxy.endpoint:
        yield proxy


def _reset(request: web.BaseRequest) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
