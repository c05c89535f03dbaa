"""GPT-2 text generation on any CPU, with no network and no GPU.

    from pygpt2edge import GPT2
    print(GPT2().generate("Once upon a time").text)

`GPT2(path)` loads a GGUF file, `GPT2.from_pretrained(name)` a model of a hub, `GPT2()` the demo
model. `pygpt2edge.convert.convert(source, out)` makes a GGUF file of an OpenAI or Hugging Face
checkpoint.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if find_spec("pygpt2edge._core") is None:  # it is not loaded yet: --help needs no core
    raise ImportError(
        f"the compiled core of pygpt2edge is not beside {__file__}: install the package with "
        "`pip install .` and start Python from another folder than the checkout"
    )

if TYPE_CHECKING:
    from pygpt2edge import convert
    from pygpt2edge.engine import Engine, QueueFullError, Request
    from pygpt2edge.errors import (
        ContextLengthError,
        FormatError,
        Gpt2EdgeError,
        MissingDependencyError,
        UnsupportedError,
    )
    from pygpt2edge.generate.generation import Generation
    from pygpt2edge.generate.results import Completion, Piece, Suggestion, Timings, TokenLogprob
    from pygpt2edge.generate.suggest import Suggester
    from pygpt2edge.inspect.rank import Ranked
    from pygpt2edge.loaded_model import demo_model_path
    from pygpt2edge.model import GPT2
    from pygpt2edge.options import SamplingParams
    from pygpt2edge.states.labels import Label, TokenLabel
    from pygpt2edge.tokenizer import Tokenizer

__version__ = "0.1.0"

__all__ = [
    "GPT2",
    "Completion",
    "ContextLengthError",
    "Engine",
    "FormatError",
    "Generation",
    "Gpt2EdgeError",
    "Label",
    "MissingDependencyError",
    "Piece",
    "QueueFullError",
    "Ranked",
    "Request",
    "SamplingParams",
    "Suggester",
    "Suggestion",
    "Timings",
    "TokenLabel",
    "TokenLogprob",
    "Tokenizer",
    "UnsupportedError",
    "__version__",
    "convert",
    "demo_model_path",
]

# The names come when they are asked for, so that the command line's --help need not load the core.
_MODULES = (
    "errors", "options", "tokenizer", "loaded_model", "generate.results", "inspect.rank",
    "generate.generation", "model", "engine", "generate.suggest", "states.labels",
)  # fmt: skip


def __getattr__(name: str) -> object:
    if name == "convert":
        return import_module(f"{__name__}.convert")
    if name in __all__:
        for module in _MODULES:
            found = vars(import_module(f"{__name__}.{module}")).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
