"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pygpt2edge.cli.output import note, progress_bar

if TYPE_CHECKING:
    from pygpt2edge import GPT2

Command = TypeVar("Command", bound=Callable[..., Any])

# convert.OUTPUT_TYPES, written out so that --help need not load the converter.
TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0")
KV_TYPES = ("int8", "f16", "f32")
MAX_THREADS = 1024


def number(
    kind: type[int | float], low: float, high: float = math.inf
) -> Callable[[str], int | float]:
    """The type of an option: a number from `low` to `high`, both allowed. No range holds "nan"."""

    def convert(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise click.BadParameter(f"{text!r} is not {what}") from None
        if not low <= value <= high:
            upper = "up" if high == math.inf else f"to {high}"
            raise click.BadParameter(f"{value} is out of range, expected {low} {upper}")
        return value

    return convert


@dataclass(frozen=True)
class ModelSource:
    """Which model: a file, a hub name, or none for the demo model."""

    model: str | None
    type: str | None = None  # for a hub name; default q8_0
    revision: str | None = None

    def path(self) -> Path:
        """The GGUF file, after fetching and converting where that is needed."""
        from pygpt2edge import demo_model_path

        for_hub = [f"--{name}" for name in ("type", "revision") if getattr(self, name) is not None]
        if self.is_local:
            if for_hub:
                raise click.UsageError(
                    f"{' and '.join(for_hub)} can be chosen for a hub name only; a file is what "
                    "it is, and `pygpt2edge convert` makes another of it"
                )
            return demo_model_path() if self.model is None else _file(self.model)
        return self._from_hub()

    @property
    def is_local(self) -> bool:
        return self.model is None or Path(self.model).exists()

    def load(self, runtime: Runtime) -> GPT2:
        """The model, ready. Raises what GPT2 raises."""
        from pygpt2edge import GPT2

        return GPT2(
            self.path(),
            n_threads=runtime.n_threads,
            n_ctx=runtime.n_ctx,
            kv_type=runtime.kv_type,
        )

    def _from_hub(self) -> Path:
        from pygpt2edge.hub import cached_gguf

        with progress_bar(f"Converting {self.model}") as progress:
            return cached_gguf(
                str(self.model), self.type or "q8_0", progress=progress, revision=self.revision
            )


@dataclass(frozen=True)
class Runtime:
    """How to run a model; None leaves a choice to GPT2."""

    n_threads: int | None = None
    n_ctx: int | None = None
    kv_type: str | None = None


def model_options(command: Command) -> Command:
    """-m, --type and --revision, given to the command as `source`."""

    @click.option(
        "-m", "--model", metavar="MODEL",
        help="A GGUF file, or a hub name such as openai-community/gpt2 (fetched and converted "
        "once). Default: the small demo model of the package.",
    )  # fmt: skip
    @click.option(
        "--type", "type_", type=click.Choice(TYPES, case_sensitive=False),
        help="Type to convert a hub model to.  [default: q8_0]",
    )  # fmt: skip
    @click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model.")
    @functools.wraps(command)
    def wrapped(*, model: str | None, type_: str | None, revision: str | None, **rest: Any) -> Any:
        return command(source=ModelSource(model, type_, revision), **rest)

    return wrapped  # type: ignore[return-value]


def runtime_options(command: Command) -> Command:
    """-t, -c and --kv-type, given to the command as `runtime`."""

    @click.option(
        "-t", "--threads", metavar="N", type=number(int, 1, MAX_THREADS),
        help="Threads that compute.  [default: one per physical core]",
    )  # fmt: skip
    @ctx_size_option
    @kv_type_option
    @functools.wraps(command)
    def wrapped(
        *, threads: int | None, ctx_size: int | None, kv_type: str | None, **rest: Any
    ) -> Any:
        return command(runtime=Runtime(threads, ctx_size or None, kv_type), **rest)

    return wrapped  # type: ignore[return-value]


ctx_size_option = click.option(
    "-c", "--ctx-size", "--n-ctx", "ctx_size", metavar="N", type=number(int, 0, 2**31 - 1),
    default=0, show_default=True,
    help="Most tokens of prompt and text together; 0 for all the model has.",
)  # fmt: skip
kv_type_option = click.option(
    "--kv-type", type=click.Choice(KV_TYPES),
    help="How attention keys and values are kept.  [default: f32 for an f32 model, else f16]",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def note_on_demo_model(source: ModelSource, quiet: bool) -> None:
    """Says that a small model is at work, where nobody chose it."""
    if source.model is None:
        note(
            "Using the small demo model. For the real ones: "
            "pygpt2edge generate -m openai-community/gpt2 (also gpt2-medium, -large, -xl)",
            quiet,
        )


def read_text(path: str) -> str:
    """The text of a UTF-8 file, "-" being stdin. Raises OSError, or ValueError naming the file."""
    name = "stdin" if path == "-" else path
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")  # without the mark that some editors put first
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name}: byte {error.start} is 0x{data[error.start]:02x}, which is not UTF-8 text; "
            "save it as UTF-8"
        ) from None


def read_prompt(path: str) -> str:
    """`read_text`, without the newline that ends a file's last line and is no part of the text."""
    return read_text(path).removesuffix("\n").removesuffix("\r")


def _file(model: str) -> Path:
    path = Path(model)
    if path.is_dir():
        raise click.ClickException(
            f"{model} is a folder; convert the checkpoint in it first: "
            f"pygpt2edge convert {quote(model)} {quote(path.resolve().name + '.gguf')}"
        )
    return path
