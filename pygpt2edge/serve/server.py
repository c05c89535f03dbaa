"""Runs the application until it is told to stop."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import sys
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pygpt2edge.model import GPT2
from pygpt2edge.serve.app import create_app
from pygpt2edge.serve.settings import Settings

_SEND_BUFFER = 256 * 1024


def run_server(
    model: GPT2, settings: Settings, access_log: bool, ready: Callable[[str], None]
) -> None:
    """Serves a model until SIGTERM or SIGINT comes. Then no new requests are taken, and running
    ones have the grace period to end. Calls `ready` with the server's URL when it listens.

    Raises OSError where the address cannot be had.
    """
    listener = _listener(settings)
    # uvicorn raises the signal again after it has stopped: that is no reason to fail.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = _Server(_config(model, settings, access_log))
    server.ready = lambda: ready(_url(settings.host, listener.getsockname()[1]))
    with listener:
        server.run([listener])


class _Server(uvicorn.Server):
    ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self.ready()


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Of each connection: what a slow reader has not taken is held here, and no more.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, f"{settings.host}:{settings.port}") from None
    return listener


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(model: GPT2, settings: Settings, access_log: bool) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(model, settings),
        http=_protocol(settings.read_timeout),
        ws="none",
        access_log=access_log,
        log_level="info" if access_log else "warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=math.ceil(settings.grace),
    )


def _protocol(read_timeout: float) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """Closes connections on which no request has begun in time."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(read_timeout, self._close_idle)

        def _close_idle(self) -> None:
            if self.cycle is None:
                self.transport.close()

    return Protocol
