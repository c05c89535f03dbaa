"""GET /: the page.

Its parts are joined into one file. The Content-Security-Policy names the hashes of its script and
its style, and no host but this one: a browser runs and fetches nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

# In the order in which they are run: a module comes after those that it imports.
MODULES = (
    "dom.js",
    "api.js",
    "facts.js",
    "tokens.js",
    "sampling.js",
    "settings.js",
    "branches.js",
    "writing.js",
    "text_view.js",
    "candidates.js",
    "prompt.js",
    "arcs.js",
    "grid.js",
    "attention.js",
    "exports.js",
    "main.js",
)

_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


async def answer_page(request: Request) -> Response:
    """The page for people: one file of HTML. Needs no key, but asks for one where the routes do."""
    page, policy = _page()
    return Response(
        page,
        media_type="text/html",
        headers={
            "Cache-Control": "no-cache",
            "Content-Security-Policy": policy,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


@cache
def _page() -> tuple[bytes, str]:
    """The file, and its policy."""
    style, script = _read("page.css"), "".join(map(_module, MODULES))
    page = _read("page.html").replace("{{style}}", style).replace("{{script}}", script)
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "connect-src": "'self'",
        "img-src": "data:",  # the icon
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return page.encode(), "; ".join(f"{name} {value}" for name, value in policy.items())


def _read(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _module(name: str) -> str:
    """A module as a part of one script, in which all names are known."""
    return _EXPORT.sub("", _IMPORT.sub("", _read(name)))


def _hash(source: str) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
