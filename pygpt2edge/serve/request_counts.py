"""Counts requests by route and status."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pygpt2edge.serve.service import Service


class Counted:
    """Counts what the application answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                service: Service = scope["app"].state.service
                service.metrics.requests.labels(route, message["status"]).inc()
            await send(message)

        await self._app(scope, receive, counted)
