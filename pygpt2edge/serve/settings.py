"""What a server may be told, and the limits on what clients may ask. The command line's options are
made from it."""

from __future__ import annotations

from dataclasses import Field, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Limit:
    """What a number of `Settings` is, for the command line's help."""

    flag: str
    help: str
    kind: type[int | float]
    low: float
    high: float = 2**31 - 1


def _limit(default: float, flag: str, help: str, low: float = 1) -> Any:
    return field(default=default, metadata={"limit": Limit(flag, help, type(default), low)})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server runs.

    Attributes:
      host, port: the address it listens on; port 0 takes a free one.
      api_key: what clients must send as "Authorization: Bearer KEY"; None: they need none.
      origins: the pages of other sites that may use the server, such as "https://example.org".
      hosts: names of this machine that clients may use beside localhost and IP addresses.
      model_name: how clients call the model; None: the file's name without its ending.
      chat_template: a Jinja template in place of the file's.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str | None = None
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    model_name: str | None = None
    chat_template: str | None = None
    max_batch: int = _limit(16, "--max-batch", "Texts computed at once.")
    max_queue: int = _limit(256, "--max-queue", "Texts that wait; more get status 429.")
    max_texts: int = _limit(128, "--max-texts", "Texts of one request: its prompts times best_of.")
    max_tokens: int = _limit(4096, "--max-tokens", "The greatest max_tokens of a request.")
    max_logprobs: int = _limit(100, "--max-logprobs", "The greatest logprobs of a request.")
    max_beams: int = _limit(16, "--max-beams", "The greatest num_beams of a request.")
    max_stops: int = _limit(16, "--max-stops", "Stop strings of a request.")
    max_attention: int = _limit(
        256, "--max-attention", "Tokens of a text whose attention is asked for."
    )
    max_body: int = _limit(1 << 20, "--max-body", "Bytes of a request's body.")
    max_template: int = _limit(1 << 16, "--max-template", "Characters of a chat template.")
    max_chat: int = _limit(
        1 << 20, "--max-chat", "Characters that a chat template may make of a chat."
    )
    template_timeout: float = _limit(
        1.0, "--template-timeout", "Seconds that a chat template may take for a chat.", low=0.001
    )
    max_connections: int = _limit(512, "--max-connections", "Connections at once.")
    read_timeout: float = _limit(
        30.0, "--read-timeout", "Seconds in which a request must have arrived."
    )
    send_timeout: float = _limit(
        60.0, "--send-timeout", "Seconds after which a reader that takes nothing is cut off."
    )
    grace: float = _limit(
        10.0, "--grace", "Seconds that running texts have to end when the server is stopped.", low=0
    )


def limit_of(each: Field[Any]) -> Limit | None:
    """The limit that a field of `Settings` is; None where it is none."""
    limit: Limit | None = each.metadata.get("limit")
    return limit
