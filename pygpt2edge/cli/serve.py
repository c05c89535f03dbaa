"""`pygpt2edge serve`: OpenAI's HTTP over a model."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from pygpt2edge.cli.options import Decorator, Run, group, int_option, number, read_text, run_options
from pygpt2edge.cli.output import note, print_json
from pygpt2edge.errors import require
from pygpt2edge.serve.settings import Settings, limit_of

_PACKAGES = (
    "jinja2", "msgspec", "prometheus_client", "sse_starlette", "starlette", "uvicorn",
)  # fmt: skip
_KEY_VARIABLE = "PYGPT2EDGE_API_KEY"


def _limit_options() -> Decorator:
    options = []
    for each in fields(Settings):
        limit = limit_of(each)
        if limit is None:
            continue
        kind = number(limit.kind, limit.low, limit.high)
        options.append(
            click.option(
                limit.flag,
                each.name,
                metavar="N",
                type=kind,
                default=each.default,
                show_default=True,
                help=limit.help,
            )
        )
    return group(*options)


@click.command("serve")
@run_options(
    click.option(
        "--host", metavar="ADDRESS", default=Settings.host, show_default=True,
        help="The address to listen on; 0.0.0.0 is all of IPv4. One that other machines reach "
        "needs a key.",
    ),
    int_option(
        "--port", low=0, high=65535, default=Settings.port, help="The port; 0 takes a free one."
    ),
    click.option(
        "--api-key", metavar="KEY",
        help=f"What clients must send as their key. Other users of this machine see options: "
        f"{_KEY_VARIABLE} and --api-key-file hide it.",
    ),
    click.option("--api-key-file", metavar="FILE", help="A file that holds the key."),
    click.option(
        "--without-key", is_flag=True,
        help="Listen on an address that other machines reach, and let all of them in.",
    ),
    click.option(
        "--allow-origin", "origins", metavar="ORIGIN", multiple=True,
        help="Let the pages of a site, such as https://example.org, use the server. May be "
        "repeated.",
    ),
    click.option(
        "--allow-host", "hosts", metavar="NAME", multiple=True,
        help="A name by which clients may call this machine, beside localhost and addresses. May "
        "be repeated.",
    ),
    click.option(
        "--model-name", metavar="NAME",
        help="What clients call the model.  [default: the file's name]",
    ),
    click.option(
        "--chat-template", metavar="FILE",
        help="A Jinja template that makes a prompt of a chat, in place of the model's own.",
    ),
    _limit_options(),
    click.option(
        "--access-log", is_flag=True,
        help="A line on stdout for each request: the client's address, the route and the status.",
    ),
)  # fmt: skip
def command(
    run: Run, api_key: str | None, api_key_file: str | None, without_key: bool,
    chat_template: str | None, access_log: bool, **settings: Any,
) -> None:  # fmt: skip
    """Serve texts over OpenAI's HTTP, and a page to look inside.

    Programs that speak to OpenAI's completions speak to it: give them the address that it prints,
    with /v1, as their base URL. It needs `pip install "pygpt2edge[serve]"`, and no network.
    docs/serving.md describes the routes. SIGTERM and Ctrl-C stop it. --json prints the address as
    one JSON object, once requests are answered.

    \b
    Examples:
      pygpt2edge serve -m gpt2.gguf
      pygpt2edge serve --host 0.0.0.0 --api-key-file key.txt
      pygpt2edge serve --port 0 --json
    """
    for package in _PACKAGES:
        require(package, "pygpt2edge serve")
    from pygpt2edge.serve.server import run_server

    key = _key(api_key, api_key_file)
    if key is None and not without_key and not _is_this_machine(settings["host"]):
        raise click.UsageError(
            f"--host {settings['host']} lets other machines in: give --api-key-file FILE, or "
            "--without-key if all of them may use it"
        )
    model = run.load()

    def ready(url: str) -> None:
        if run.as_json:
            print_json({"url": url, "pid": os.getpid()})
        else:
            note(f"Serving {model.path.name} at {url} (OpenAI's base URL: {url}/v1)", run.quiet)

    settings |= {"hosts": tuple(settings["hosts"]), "origins": tuple(settings["origins"])}
    if chat_template is not None:
        settings["chat_template"] = read_text(chat_template)
    run_server(model, Settings(api_key=key, **settings), access_log, ready)


def _key(option: str | None, file: str | None) -> str | None:
    """The key, of whichever place has one."""
    if option is not None and file is not None:
        raise click.UsageError("--api-key and --api-key-file are two keys: give one")
    if file is not None:
        option = Path(file).read_text(encoding="utf-8").strip()
    key = os.environ.get(_KEY_VARIABLE) if option is None else option
    if key is not None and not (key.isascii() and key.isprintable() and key.strip()):
        raise click.UsageError("the key must be of printable ASCII characters, and not empty")
    return key


def _is_this_machine(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
