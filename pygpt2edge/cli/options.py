"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.output import note, progress_bar

if TYPE_CHECKING:
    from pygpt2edge.model import GPT2

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]

# convert.OUTPUT_TYPES, written out so that --help need not load the converter.
TYPES = (
    "f32",
    "f16",
    "bf16",
    "q8_0",
    "q6_k",
    "q5_1",
    "q5_k",
    "q5_0",
    "q4_1",
    "q4_k",
    "iq4_nl",
    "q4_0",
    "iq4_xs",
    "q3_k",
)
KV_TYPES = ("int8", "int16", "f16", "f32")
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


def int_option(
    *names: str, low: int, high: int = 2**31 - 1, default: int | None, help: str
) -> Decorator:
    """An option that is a whole number."""
    return click.option(
        *names, metavar="N", type=number(int, low, high), default=default,
        show_default=default is not None, help=help,
    )  # fmt: skip


def float_option(*names: str, low: float, high: float, default: float, help: str) -> Decorator:
    """An option that is a number."""
    return click.option(
        *names, metavar="X", type=number(float, low, high), default=default, show_default=True,
        help=help,
    )  # fmt: skip


@dataclass(frozen=True)
class ModelSource:
    """Which model: a GGUF file, a checkpoint, a hub name, or none for the demo model."""

    model: str | None
    type: str | None = None  # for what is converted; default q8_0
    revision: str | None = None

    def path(self) -> Path:
        """The GGUF file, after fetching and converting where that is needed."""
        from pygpt2edge.loaded_model import demo_model_path

        if self.revision is not None and self._is_here:
            raise click.UsageError("--revision can be chosen for a hub name only")
        if not self.is_local:
            return self._converted()
        if self.type is not None:
            raise click.UsageError(
                "--type can be chosen for a hub name or a checkpoint only; a GGUF file is what it "
                "is, and `pygpt2edge convert` makes another of it"
            )
        return demo_model_path() if self.model is None else Path(self.model)

    @property
    def is_local(self) -> bool:
        """Whether the model runs from where it lies, neither fetched nor converted."""
        return self.model is None or (self._is_here and not _is_checkpoint(Path(self.model)))

    @property
    def _is_here(self) -> bool:
        return self.model is None or Path(self.model).exists()

    def load(self, runtime: Runtime) -> GPT2:
        """The model, ready. Raises what GPT2 raises."""
        from pygpt2edge.model import GPT2

        return GPT2(
            self.path(),
            n_threads=runtime.n_threads,
            n_ctx=runtime.n_ctx,
            kv_type=runtime.kv_type,
        )

    def _converted(self) -> Path:
        from pygpt2edge.convert.cached import cached_gguf

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


@dataclass(frozen=True)
class Run:
    """What the commands that run a model have in common."""

    source: ModelSource
    runtime: Runtime
    as_json: bool
    quiet: bool  # no notes, nor where the result is JSON

    def load(self) -> GPT2:
        """The model, ready; says that a small one is at work, where nobody chose it."""
        if self.source.model is None:
            note(
                "Using the small demo model. For the real ones: "
                "pygpt2edge generate -m openai-community/gpt2 (also gpt2-medium, -large, -xl)",
                self.quiet,
            )
        return self.source.load(self.runtime)


ctx_size_option = int_option(
    "-c", "--ctx-size", "--n-ctx", "ctx_size", low=0, default=0,
    help="Most tokens of prompt and text together; 0 for all the model has.",
)  # fmt: skip
kv_type_option = click.option(
    "--kv-type", type=click.Choice(KV_TYPES),
    help="How attention keys and values are kept. int8: half the memory of f16; int16: that of "
    "f16, and long prompts are read faster with AVX-512.  "
    "[default: f32 for an f32 model, else f16]",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
lines_option = click.option(
    "-f", "--file", "file", metavar="FILE", type=click.Path(),
    help='Read the texts from a file, one a line; "-" is stdin.',
)  # fmt: skip
truncate_option = click.option(
    "--truncate", is_flag=True, help="Take the beginning of texts longer than the context."
)
allow_special_option = click.option(
    "--allow-special", is_flag=True, help='Read "<|endoftext|>" as the token, not as text.'
)

_MODEL_OPTIONS = (
    click.option(
        "-m", "--model", metavar="MODEL",
        help="A GGUF file; a checkpoint: its folder, or its .safetensors or .bin file beside "
        "config.json and the tokenizer (converted once); or a hub name such as "
        "openai-community/gpt2 (fetched and converted once). Default: the small demo model of the "
        "package.",
    ),
    click.option(
        "--type", "type_", type=click.Choice(TYPES, case_sensitive=False),
        help="Type to convert a checkpoint or a hub model to.  [default: q8_0]",
    ),
    click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model."),
)  # fmt: skip
_RUN_OPTIONS = (
    click.option(
        "-t", "--threads", metavar="N", type=number(int, 1, MAX_THREADS),
        help="Threads that compute.  [default: one per physical core]",
    ),
    ctx_size_option,
    kv_type_option,
    json_option,
    click.option("-q", "--quiet", is_flag=True, help="No notes on stderr."),
)  # fmt: skip


def group(*options: Decorator) -> Decorator:
    """One decorator of several, in the order in which --help lists them."""

    def decorate(command: Function) -> Function:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def model_options(command: Function) -> Function:
    """-m, --type and --revision, given to the command as `source`."""

    @group(*_MODEL_OPTIONS)
    @functools.wraps(command)
    def wrapped(*, model: str | None, type_: str | None, revision: str | None, **rest: Any) -> Any:
        return command(source=ModelSource(model, type_, revision), **rest)

    return wrapped


def run_options(*own: Decorator) -> Decorator:
    """The options of a command that runs a model, given to it as `run`: those of `model_options`,
    its own, then -t, -c, --kv-type, --json and -q."""

    def decorate(command: Function) -> Function:
        @group(*own, *_RUN_OPTIONS)
        @functools.wraps(command)
        def wrapped(
            source: ModelSource, threads: int | None, ctx_size: int,
            kv_type: str | None, as_json: bool, quiet: bool, **rest: Any,
        ) -> Any:  # fmt: skip
            runtime = Runtime(threads, ctx_size or None, kv_type)
            return command(run=Run(source, runtime, as_json, quiet or as_json), **rest)

        return model_options(wrapped)

    return decorate


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


def lines_of(file: str | None) -> list[str]:
    """The lines of a file, empty ones too; of stdin for "-" or None, where it is no terminal."""
    if file is None and (sys.stdin is None or sys.stdin.isatty()):
        return []
    text = read_text("-" if file is None else file).removesuffix("\n")
    return [line.removesuffix("\r") for line in text.split("\n")] if text else []


def texts_of(arguments: Sequence[str], file: str | None) -> list[str]:
    """Texts that are given as arguments, or as the lines of a file. Raises UsageError for both,
    and for none."""
    if arguments and file is not None:
        raise click.UsageError("give texts as arguments or in a --file")
    texts = list(arguments) or lines_of(file)
    if not texts:
        raise click.UsageError("give a TEXT or more")
    return texts


def _is_checkpoint(path: Path) -> bool:
    """Whether it is to be converted before it can run."""
    if path.is_dir() or path.suffix == ".gguf":  # most, told without loading the converter
        return path.is_dir()
    from pygpt2edge.convert.opening import is_weights_file

    return is_weights_file(path)
