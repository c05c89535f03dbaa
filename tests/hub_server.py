"""A hub of models that a thread serves on localhost, as Hugging Face's."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODELS = {"openai-community/gpt2", "someone/tiny", "someone/tiny-bin", "someone/sharded",
          "someone/empty", "someone/llama"}  # fmt: skip
GATED = "someone/gated"


class Hub(BaseHTTPRequestHandler):
    """The few endpoints a download uses: the list of files, and each file with its metadata."""

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        path = unquote(self.path.split("?")[0]).strip("/")
        self.server.requests.append((self.command, path))
        if path.startswith("api/models/"):
            name, _, revision = path.removeprefix("api/models/").partition("/revision/")
            self.answer_model(name, revision or "main")
        else:
            name, _, rest = path.partition("/resolve/")
            revision, _, file = rest.partition("/")
            self.answer_file(name, revision, file, with_body=with_body)

    def is_refused(self, name, revision):
        if name == GATED:
            self.send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif name not in MODELS:
            self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", "v2", COMMIT):
            self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            return False
        return True

    def answer_model(self, name, revision):
        if not self.is_refused(name, revision):
            folder = self.server.folder / name
            files = [{"rfilename": path.name} for path in sorted(folder.iterdir())]
            info = {
                "_id": "0", "id": name, "modelId": name, "sha": COMMIT, "siblings": files,
                "private": False, "tags": [], "downloads": 0, "likes": 0,
            }  # fmt: skip
            self.send(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def answer_file(self, name, revision, file, *, with_body):
        if self.is_refused(name, revision):
            return
        path = self.server.folder / name / file
        if not path.is_file():
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        content = path.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}
        self.send(200, content, headers, with_body=with_body)

    def send(self, status, content, headers, *, with_body=True):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body and self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        """Keeps the test's output to itself."""


class HubServer(ThreadingHTTPServer):
    """Serves the models in a folder, and notes what is asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Hub)
        self.folder = folder
        self.requests: list[tuple[str, str]] = []


@contextmanager
def serving_hub(folder: Path) -> Iterator[HubServer]:
    server = HubServer(folder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def environment(hub: HubServer, folder: Path) -> dict[str, str]:
    """The variables of a process that uses this hub, and keeps its caches in the folder."""
    return {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_SYMLINKS_WARNING": "1",
        "PYGPT2EDGE_CACHE": str(folder / "cache"),
        "NO_PROXY": "127.0.0.1",
    }
