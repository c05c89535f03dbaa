"""Asks a server of the demo model many times, and prints how much memory it takes.

    python tools/soak_server.py [--requests 10000]

Requests are of all kinds: whole and streamed, of prompts that come again and of new ones, and some
that are wrong. Prints a JSON object after each tenth: the requests so far, and the process's
resident bytes, those of keys and values among them.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import httpx
from running_server import serving


def body(i: int) -> bytes:
    if i % 10 == 9:
        return b'{"prompt": "x", "temperature": NaN}'
    fields = {"prompt": f"Chapter {i % 3000}", "max_tokens": 2, "stream": i % 2 == 0}
    return json.dumps(fields).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    n = max(1, parser.parse_args().requests // 10)
    with serving() as server, httpx.Client(timeout=60, verify=False) as client:
        url = server.url + "/v1/completions"
        statm = Path(f"/proc/{server.process.pid}/statm")
        for tenth in range(10):
            with ThreadPoolExecutor(8) as pool:
                list(
                    pool.map(
                        lambda i: client.post(url, content=body(i)),
                        range(tenth * n, (tenth + 1) * n),
                    )
                )
            resident = int(statm.read_text(encoding="ascii").split()[1]) * 4096
            cache = server.metric("pygpt2edge_cache_bytes")
            print(json.dumps({"requests": (tenth + 1) * n, "resident": resident, "cache": cache}))


if __name__ == "__main__":
    main()
