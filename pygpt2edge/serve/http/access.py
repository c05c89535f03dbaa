"""Who may use the server: by key, and by the pages that browsers tell of.

A page of another site must neither read nor trigger anything. Browsers name such a page in the
header Origin, or say "cross-site" in Sec-Fetch-Site. A site whose name is made to lead to this
machine (DNS rebinding) is seen by the header Host: it has a name, and not one of ours.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pygpt2edge.serve.http.errors import ApiError
from pygpt2edge.serve.settings import Settings

# What is the same for everybody, and tells nothing.
_WITHOUT_KEY = {"/", "/health", "/openapi.json"}
_LOCAL_NAMES = {"localhost"}


class Access:
    """Answers who may not with an error, and passes on the rest."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._key = None if settings.api_key is None else f"Bearer {settings.api_key}".encode()
        self._origins = {origin.rstrip("/") for origin in settings.origins}
        self._names = _LOCAL_NAMES | {name.lower() for name in (*settings.hosts, settings.host)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(Headers(scope=scope), scope["path"])
            except ApiError as error:
                await error.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, headers: Headers, path: str) -> None:
        host = headers.get("host", "")
        if not self._is_known(host):
            raise ApiError(
                403, f"this server is not called {host:.80}: start it with --allow-host NAME"
            )
        origin = headers.get("origin")
        if origin is not None and not self._may_use(origin, host):
            raise ApiError(
                403, f"pages of {origin:.80} may not use this server: --allow-origin lets them"
            )
        if origin is None and _is_foreign(headers):
            raise ApiError(403, "pages of other sites may not use this server")
        if self._key is not None and path not in _WITHOUT_KEY:
            self._check_key(self._key, headers.get("authorization", ""))

    def _is_known(self, host: str) -> bool:
        """Whether the host of a Host header is an address, or a name of this machine."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _may_use(self, origin: str, host: str) -> bool:
        return origin in self._origins or _netloc(origin) == host

    def _check_key(self, key: bytes, given: str) -> None:
        if not hmac.compare_digest(given.encode("latin-1", "replace"), key):
            raise ApiError(
                401,
                "the key is missing or wrong: send it as the header Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )


def _netloc(origin: str) -> str | None:
    """The host and port of an origin; None for "null" and what is none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser fetches it for a page of another site. A link that is followed is none."""
    site = headers.get("sec-fetch-site", "none")
    return site in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate"
