"""The compiled core (csrc/python). The package's public names are the ones to use."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

class TensorInfo:
    """A tensor of a GGUF file."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str:
        """ggml's name: "F32", "Q8_0" ..."""
    @property
    def shape(self) -> tuple[int, ...]:
        """Slowest dimension first: (n_out, n_in)."""
    @property
    def n_bytes(self) -> int: ...
    @property
    def offset(self) -> int:
        """From the start of the file."""

class GgufFile:
    """A GGUF file of version 2 or 3, mapped and checked.

    Raises OSError, FormatError or UnsupportedError.
    """

    def __init__(self, path: str | PathLike[str]) -> None: ...
    @property
    def path(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def metadata(self) -> dict[str, Any]:
        """Numbers, truth values, texts and lists of them. The tokenizer's arrays are left out."""
    @property
    def tensors(self) -> list[TensorInfo]:
        """In the file's order."""
    def value(self, key: str) -> Any:
        """What metadata has under the key, the tokenizer's arrays too; None where there is none."""
    def has(self, key: str) -> bool: ...
    def n_array(self, key: str) -> int:
        """The length of an array; 0 when there is none."""
    def strings(self, key: str) -> list[str]:
        """Raises FormatError when there is no such array, or when it is not UTF-8."""
    def integers(self, key: str) -> list[int]: ...
    def read_rows(self, name: str, first_row: int, n_rows: int) -> NDArray[np.float32]:
        """Rows of a tensor as float32 (n_rows, n_in). A vector is one row.

        Raises KeyError when there is no such tensor, IndexError when it has not got the rows.
        """
    def raw_rows(self, name: str, first_row: int, n_rows: int) -> NDArray[np.uint8]:
        """Rows of a tensor as the file stores them: uint8 (n_rows, bytes of a row)."""
    def release(self, name: str) -> None:
        """The tensor will not be read again soon: its pages may be dropped."""

def quantize(
    values: NDArray[np.float32],
    type: str,
    n_threads: int = 0,
    rounding: str = "search",
    weights: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Rows (n_rows, n_in) to a type that can be written: (n_rows, bytes of a row).

    rounding "search" chooses the scales of each block for the least squared error, in which
    `weights` (n_in) say what a column counts; "reference" makes q8_0 and q4_0 bit for bit as ggml's
    reference quantizers (ggml-quants.c) do. n_threads 0 means one per core. Raises ValueError,
    naming row and column, for a number that the type cannot hold.
    """

def factor_second_moments(
    moments: NDArray[np.float32], damping: float, n_threads: int = 0
) -> NDArray[np.float32]:
    """What quantize_with_feedback wants, of the mean products (n_in, n_in) of a matrix's inputs:
    returns weights (n_in), and makes `moments` the matrix, in place. `damping` times the mean of
    the diagonal is added to it.
    """

def quantize_with_feedback(
    values: NDArray[np.float32],
    type: str,
    weights: NDArray[np.float32],
    matrix: NDArray[np.float32],
    n_threads: int = 0,
) -> NDArray[np.uint8]:
    """As quantize, each column making up for the errors of those before it."""

def dequantize(blocks: NDArray[np.uint8], type: str, n_in: int) -> NDArray[np.float32]:
    """The way back, for every readable type: float32 (n_rows, n_in)."""

class MatrixInputs:
    """Sums over the inputs of one matrix, which `name` tells by its GGUF name."""

    @property
    def name(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def sums(self) -> NDArray[np.float32]: ...
    @property
    def squares(self) -> NDArray[np.float32]: ...
    def products(self) -> NDArray[np.float32] | None:
        """(n_in, n_in), or None where they were not wanted."""

class CalibrationStage:
    """Layers first_layer .. end_layer - 1 of a file of floats, the embedding with the first and the
    head with the last, and what goes into their matrices while texts pass through."""

    def __init__(
        self, path: bytes, n_threads: int, first_layer: int, end_layer: int, with_products: bool
    ) -> None: ...
    def read(self, tokens: Sequence[int], residuals: NDArray[np.float32]) -> None:
        """A text from the model's first position on, no longer than its context. `residuals`
        (tokens, n_embd) are those that the stage before left; afterwards, this one's. The first
        stage does not read them, the last does not change them."""

    @property
    def inputs(self) -> list[MatrixInputs]: ...

def calibration_memory(path: bytes, n_threads: int, with_products: bool) -> int:
    """The bytes of memory that calibrating a file takes, a layer after the other."""

def crc32c(buffer: Any, crc: int = 0) -> int:
    """The CRC-32C (Castagnoli) of a buffer, going on from `crc`."""

class TokenizerTables:
    """A vocabulary, checked. token_types are GGUF's: 1 normal, 3 control, 4 user-defined.

    Raises FormatError, naming `path`, for tables that contradict themselves. Without token_types
    all tokens are normal.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        token_types: Sequence[int],
        merges: Sequence[str | bytes],
        bos_token: int | None,
        eos_token: int | None,
        path: str,
    ) -> None: ...
    @property
    def token_bytes(self) -> list[bytes]:
        """By token id."""
    @property
    def token_types(self) -> list[int]: ...
    @property
    def merges_ranks(self) -> list[bytes]:
        """What byte-pair encoding may make, first things first: 256 bytes, then merges' results."""
    @property
    def ranked_ids(self) -> list[int]:
        """The token ids of merges_ranks; -1 for a byte that the vocabulary lacks."""
    @property
    def n_ranked(self) -> int:
        """The length of merges_ranks."""
    @property
    def is_ranked_by_id(self) -> bool:
        """Whether merges_ranks is the beginning of token_bytes, as in the official vocabulary."""
    @property
    def path(self) -> str:
        """For messages."""
    @property
    def other_rule(self) -> str:
        """By which text is cut, if not by GPT-2's; else empty."""
    @property
    def hidden_spaces(self) -> int:
        """So many spaces that a text's first token begins with are not of the text, at most."""
    def start_token(self) -> int:
        """What stands before an empty text. Raises UnsupportedError, naming `path`."""
    @property
    def special_tokens(self) -> list[int]:
        """bos_token, eos_token and other control tokens, ascending."""
    def tokens_of_type(self, type: int) -> list[int]: ...
    @property
    def bos_token(self) -> int | None: ...
    @property
    def eos_token(self) -> int | None: ...

def tokenizer_tables(gguf: GgufFile) -> TokenizerTables:
    """Raises FormatError, and UnsupportedError for a kind of tokenizer that is not known."""

class Tokenizer:
    """GPT-2's tokenizer; see pygpt2edge.Tokenizer. Several threads may use one.

    rule: what encodes a text, given whether special tokens are allowed, where the tables have
    another rule than GPT-2's.
    """

    def __init__(
        self, tables: TokenizerTables, rule: Callable[[str, bool], list[int]] | None = None
    ) -> None: ...
    def encode(self, text: str | bytes, allow_special: bool = False) -> list[int]:
        """The token ids of a text. What is not UTF-8 in bytes counts as U+FFFD, as decoding with
        errors="replace" has it. Raises ValueError for a byte that there is no token for, and
        UnsupportedError for another rule than GPT-2's that was not given.
        """

_LogitsProcessor: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.int32]], None]
"""Changes the logits in place, given the tokens so far."""

class Sampler:
    """Chooses tokens from logits; csrc/generate/sampling/sampler.h says what each option does and
    when.

    end_tokens: those that min_tokens holds back. tables: to find dry_sequence_breakers with.
    logits_processor: called with a float32 array (n_vocab) to change in place, and the accepted
    tokens as an int32 array.
    Raises ValueError for an option out of its range, TypeError for one of another type.
    """

    def __init__(
        self, *, temperature: float = 0.8, top_k: int = 40, top_p: float = 1.0, min_p: float = 0.0,
        typical_p: float = 1.0, xtc_probability: float = 0.0, xtc_threshold: float = 0.1,
        repetition_penalty: float = 1.0, frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0, penalty_last_n: int = -1, dry_multiplier: float = 0.0,
        dry_base: float = 1.75, dry_allowed_length: int = 2, dry_penalty_last_n: int = -1,
        dry_sequence_breakers: Sequence[str | bytes] = ("\n", ":", '"', "*"),
        no_repeat_ngram_size: int = 0, min_tokens: int = 0, suppress_tokens: Sequence[int] = (),
        begin_suppress_tokens: Sequence[int] = (), forced_first_token: int | None = None,
        logit_bias: Mapping[int, float] = {}, seed: int = 0,
        logits_processor: _LogitsProcessor | None = None, end_tokens: Sequence[int] = (),
        tables: TokenizerTables | None = None,
    ) -> None: ...  # fmt: skip
    def sample(self, logits: NDArray[np.float32]) -> int:
        """The next token for logits (n_vocab), with draw number draw_index, which advances by one.

        Raises ValueError when every token is banned or the logits_processor makes a logit that is
        no number, RuntimeError where one is none before, and what the logits_processor raises.
        """
    def accept_prompt(self, token: int) -> None:
        """Notes a token of the prompt."""
    def accept(self, token: int) -> None:
        """Notes a token that was generated."""
    def reset(self) -> None:
        """Forgets the accepted tokens and goes back to draw 0."""
    def copy(self) -> Sampler:
        """A fork: it draws with the same random numbers from here on."""
    @property
    def draw_index(self) -> int: ...
    @draw_index.setter
    def draw_index(self, index: int) -> None: ...

def random_uniform(seed: int, draw: int, stream: int) -> float:
    """A random number in [0, 1) of a seed and a draw. Stream 1 decides whether XTC acts."""

def token_noise(seed: int, draw: int, token: int) -> float:
    """The random number of a token at a draw, exponential of mean 1: the candidate is drawn whose
    noise / probability is the least (Daliri, Musco, Suresh 2024, arXiv 2408.07978).

    Raises ValueError for a negative token.
    """

class StopMatcher:
    """Cuts text, given as bytes, at the first stop string and never inside a character.

    Raises ValueError for an empty stop string.
    """

    def __init__(self, stops: Sequence[bytes]) -> None: ...
    def push(self, piece: bytes, can_stop: bool = True) -> bytes:
        """Takes the next bytes and returns those that are safe to show. A stop string whose last
        byte comes with can_stop false does not match."""
    def finish(self) -> bytes:
        """The text is over: returns the bytes held back."""
    @property
    def stopped(self) -> bool: ...
    @property
    def stop_string(self) -> bytes | None: ...

def top_logprobs(
    logits: NDArray[np.float32], chosen: int, n_top: int
) -> tuple[float, list[tuple[int, float]]]:
    """The chosen token's log-probability, and the n_top most likely (token, log-probability).

    Of the model itself: temperature 1, nothing filtered or biased. Raises IndexError, ValueError.
    """

class Model:
    """A loaded model. n_threads 0 means one per physical core.

    n_ctx and kv_type say how its sessions will be kept, 0 and "" leaving that to the model. Raises
    MemoryError before it loads anything when one session does not fit beside the weights.
    """

    def __init__(
        self, path: str | bytes, n_threads: int = 0, n_ctx: int = 0, kv_type: str = ""
    ) -> None: ...
    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def n_threads(self) -> int: ...
    @property
    def isa(self) -> str: ...
    @property
    def fingerprint(self) -> int:
        """Tells models apart, whatever their files are called: 64 bits, of checksums of each
        tensor's name, type, shape, first and last bytes."""
    @property
    def weight_bytes(self) -> int: ...
    @property
    def workspace_bytes(self) -> int: ...
    @property
    def bytes_per_token(self) -> int:
        """Bytes of weights that decoding a token reads."""
    @property
    def multiply_adds_per_token(self) -> int:
        """Those of the layers; the head runs for the last token of a prompt only."""
    @property
    def cache_bytes_used(self) -> int:
        """Of the pages of all sessions, each counted once."""
    @property
    def kv_type(self) -> str:
        """As chosen, or else "f32" for a model stored in f32 and "f16" for any other."""

    def page_bytes(self, kv_type: str) -> int:
        """Bytes of the keys and values of 64 tokens, by which caches grow."""

class Session:
    """One sequence and its cache. n_ctx 0 means the model's; kv_type is "int8", "int16", "f16" or
    "f32"."""

    def __init__(self, model: Model, n_ctx: int = 0, kv_type: str = "f16") -> None: ...
    def append(self, tokens: Sequence[int] | NDArray[np.integer[Any]], n_logits: int = 1) -> None:
        """Computes tokens, and keeps the logits that follow each of the last n_logits of them.

        Raises ContextLengthError, ValueError; then nothing has changed.
        """
    def check(self, tokens: Sequence[int] | NDArray[np.integer[Any]]) -> None:
        """Raises what `append` would for these tokens, memory apart."""
    def append_all_logits(
        self, tokens: Sequence[int] | NDArray[np.integer[Any]]
    ) -> NDArray[np.float32]:
        """The same, and the logits after each token: (len(tokens), n_vocab)."""
    def append_attention(
        self, tokens: Sequence[int] | NDArray[np.integer[Any]], layers: Sequence[int]
    ) -> NDArray[np.float32]:
        """`append`, and the attention weights of these layers, in the order given.

        Returns (len(layers), n_head, len(tokens), len(self)): how each of the tokens looks at all
        of the session's from its first on, these included; zeros for those that come after it.
        Raises ValueError too for a layer that is not there or comes twice.
        """
    def truncate(self, n: int) -> None:
        """Forgets all but the first n tokens."""
    def fork(self) -> Session:
        """Another session of the same tokens; both share the memory of what they have in common."""
    @property
    def logits(self) -> NDArray[np.float32]:
        """A copy of those that follow the last token: (n_vocab)."""
    def logits_after(self, n: int) -> NDArray[np.float32]:
        """The same after the first n tokens. Raises ValueError where they were not kept."""
    def top_logprobs(self, chosen: int, n_top: int) -> tuple[float, list[tuple[int, float]]]:
        """`top_logprobs` of the logits that follow the last token, without the copy."""
    def sample(self, sampler: Sampler, n: int | None = None) -> int:
        """sampler.sample(self.logits_after(n)), without the copy; n None means all tokens."""
    @property
    def tokens(self) -> list[int]: ...
    @property
    def n_ctx(self) -> int: ...
    @property
    def cache_bytes(self) -> int:
        """Of a full cache; it takes memory as it fills, in pages of 64 tokens."""
    @property
    def cache_bytes_used(self) -> int:
        """Of its pages so far, those shared with other sessions counted in full."""
    def __len__(self) -> int: ...

class TextOptions:
    """The options of a text; `GPT2.stream` documents them. The seed is the caller's to draw.

    discard None means half of the tokens after the kept ones.
    logits_processor: as in Sampler. It is called once for each token of the text, in their order,
    whatever is drafted; it must not use the text itself. An exception that it raises ends the text,
    which raises it. A text with one cannot be saved.
    Raises ValueError for a context_overflow that is none, TypeError for an option of another type;
    other values are checked by Text.
    """

    def __init__(
        self, *, max_tokens: int | None = 64, temperature: float = 0.8, top_k: int = 40,
        top_p: float = 1.0, min_p: float = 0.0, typical_p: float = 1.0,
        xtc_probability: float = 0.0, xtc_threshold: float = 0.1, repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0, presence_penalty: float = 0.0, penalty_last_n: int = -1,
        dry_multiplier: float = 0.0, dry_base: float = 1.75, dry_allowed_length: int = 2,
        dry_penalty_last_n: int = -1,
        dry_sequence_breakers: Sequence[str | bytes] = ("\n", ":", '"', "*"),
        no_repeat_ngram_size: int = 0, min_tokens: int = 0, suppress_tokens: Sequence[int] = (),
        begin_suppress_tokens: Sequence[int] = (), forced_first_token: int | None = None,
        logit_bias: Mapping[int, float] = {}, seed: int = 0,
        logits_processor: _LogitsProcessor | None = None, stop: Sequence[str] = (),
        logprobs: int = 0, ignore_eos: bool = False, context_overflow: str = "stop",
        max_time: float | None = None, keep: int = 0, discard: int | None = None,
    ) -> None: ...  # fmt: skip
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def temperature(self) -> float: ...
    @property
    def top_k(self) -> int: ...
    @property
    def top_p(self) -> float: ...
    @property
    def min_p(self) -> float: ...
    @property
    def typical_p(self) -> float: ...
    @property
    def xtc_probability(self) -> float: ...
    @property
    def xtc_threshold(self) -> float: ...
    @property
    def repetition_penalty(self) -> float: ...
    @property
    def frequency_penalty(self) -> float: ...
    @property
    def presence_penalty(self) -> float: ...
    @property
    def penalty_last_n(self) -> int: ...
    @property
    def dry_multiplier(self) -> float: ...
    @property
    def dry_base(self) -> float: ...
    @property
    def dry_allowed_length(self) -> int: ...
    @property
    def dry_penalty_last_n(self) -> int: ...
    @property
    def dry_sequence_breakers(self) -> list[str]: ...
    @property
    def no_repeat_ngram_size(self) -> int: ...
    @property
    def min_tokens(self) -> int: ...
    @property
    def suppress_tokens(self) -> list[int]: ...
    @property
    def begin_suppress_tokens(self) -> list[int]: ...
    @property
    def forced_first_token(self) -> int | None: ...
    @property
    def logit_bias(self) -> dict[int, float]: ...
    @property
    def seed(self) -> int: ...
    @property
    def logits_processor(self) -> _LogitsProcessor | None: ...
    @property
    def stop(self) -> list[str]: ...
    @property
    def logprobs(self) -> int: ...
    @property
    def ignore_eos(self) -> bool: ...
    @property
    def context_overflow(self) -> str: ...
    @property
    def max_time(self) -> float | None: ...
    @property
    def keep(self) -> int: ...
    @property
    def discard(self) -> int | None: ...

class ContextOptions:
    """How the contexts of a text are made: n_ctx positions (0: as many as the model has), kept as
    kv_type "int8", "int16", "f16" or "f32"."""

    def __init__(self, n_ctx: int, kv_type: str) -> None: ...

class SpeculationOptions:
    """What drafts tokens ahead of a text: the text itself, a smaller model, both or neither.

    A pass checks at most `max_draft` of them, and at least `min_draft`, whether they pay or not.
    """

    def __init__(
        self, *, prompt_lookup: bool = False, draft: Model | None = None,
        draft_tables: TokenizerTables | None = None, draft_contexts: ContextOptions = ...,
        max_draft: int = 15, min_draft: int = 0,
    ) -> None: ...  # fmt: skip

_Logprob: TypeAlias = tuple[float, list[tuple[int, float]]]
"""A chosen token's log-probability, and the most likely tokens with theirs, best first."""

_Piece: TypeAlias = tuple[str, int | None, _Logprob | None]
"""A text's step: characters, the token, and its log-probability where it is asked for."""

class TextState:
    """A text so far."""

    @property
    def text(self) -> str: ...
    @property
    def prompt(self) -> list[int]: ...
    @property
    def tokens(self) -> list[int]:
        """Those after the prompt, without the end-of-text token."""
    @property
    def logprobs(self) -> list[_Logprob]:
        """Of each token, where they are asked for."""
    @property
    def n_repeated(self) -> int:
        """How many bytes of the first token after the prompt are the prompt's last."""
    @property
    def end_logprob(self) -> _Logprob | None:
        """Of the end-of-text token that has ended the text, where they are asked for."""
    @property
    def finish_reason(self) -> Literal["stop", "length", "timeout", "cancelled"] | None: ...
    @property
    def stop_string(self) -> str | None: ...
    @property
    def timings(self) -> dict[str, Any]:
        """The fields of `Timings`, load_s apart."""

class _Constraint(Protocol):
    """What keeps a text within a language; the text calls it while it computes.

    `start` and `accept` give the tokens that must follow, and whether nothing may follow those.
    """

    @property
    def n_repeated(self) -> int:
        """How many bytes at the prompt's end the first tokens write again."""
    def start(self) -> tuple[list[int], bool]:
        """Called once, before the others."""
    def accept(self, token: int) -> tuple[list[int], bool]:
        """Adds a token to the text, and those that must follow it."""
    def count_allowed(self, draft: list[int]) -> int:
        """How many of the draft tokens may follow the text."""
    def begin_masks(self, draft: list[int], first: int) -> None:
        """Begins to compute the masks after the first `first` of the draft tokens, after one more
        of them, and so on, to that after all of them, and returns without waiting for them."""
    def saved(self) -> str:
        """What it takes to make another one at the same place."""
    def masks(self) -> list[bytes]:
        """Those masks, fewer where nothing may follow one of the tokens: a bit for each token, that
        of token 0 the lowest of the first word of 32 bits; the end-of-text token may come where the
        language may end."""

class Text:
    """One text in the making. Every call frees the GIL; threads take turns.

    Raises ValueError for an option that is out of range, a draft of another vocabulary and a prompt
    without tokens, and MemoryError where the next context of a text that slides does not fit.
    """

    def __init__(
        self, model: Model, tables: TokenizerTables, contexts: ContextOptions,
        prompt: Sequence[int], options: TextOptions, speculation: SpeculationOptions = ...,
        constraint: _Constraint | None = None,
    ) -> None: ...  # fmt: skip
    @staticmethod
    def resume(
        path: str | bytes, model: Model, tables: TokenizerTables, contexts: ContextOptions,
        max_tokens: int | None = None, speculation: SpeculationOptions = ...,
        constraint: Callable[[bytes, list[int], list[int]], _Constraint] | None = None,
    ) -> Text:  # fmt: skip
        """Goes on with what `save` wrote. `max_tokens` is how many to add to what is there; None
        leaves it to the saved options. `constraint` makes that of a text that has one, of what its
        `saved` gave, the prompt, and the tokens after it.

        Raises OSError, FormatError for what is damaged or no text, UnsupportedError where it was
        saved with another model, n_ctx or kv_type.
        """
    def next(self) -> _Piece:
        """The next piece, which is computed if need be.

        Raises StopIteration when the text has ended; ContextLengthError where the prompt does not
        fit, or the context is full and context_overflow is "error"; ValueError, RuntimeError.
        """
    def run(self) -> None:
        """Goes on to the text's end. Raises what `next` does."""
    def cancel(self) -> None:
        """Ends the text where it is, within the step that is under way; does not wait for it."""
    def pieces(self) -> list[_Piece]:
        """Takes the pieces that steps have left."""
    def check_error(self) -> None:
        """Raises what has ended the text, if it was an error."""
    def check(self) -> None:
        """Raises what the prompt would, memory apart."""
    def share(self, session: Session) -> None:
        """Begins with what a session has computed of the prompt's first tokens, but for the last.
        They share the memory."""
    def prefix(self) -> Session | None:
        """What is computed from the text's first token on, in whole pages while it goes on. They
        share the memory. None where the context has slid, or there is nothing."""
    def release(self) -> None:
        """Gives up the memory of keys and values: nothing more will be added."""
    def state(self) -> TextState: ...
    def save(self, write: Callable[[memoryview], object]) -> None:
        """Calls `write` with all bytes of the text (csrc/generate/saved_text.h), front to back.
        A view is good for the time of the call.

        Raises ValueError for a finished text (but not after "length"), and one with a
        logits_processor.
        """
    def saved_bytes(self) -> int:
        """How many bytes `save` would write now. Raises what it does."""
    @property
    def options(self) -> TextOptions: ...
    @property
    def finished(self) -> bool:
        """Whether it has ended, in an error too."""
    @property
    def has_begun(self) -> bool:
        """Whether the prompt is computed and there is a token after it."""
    @property
    def max_pages(self) -> int:
        """Pages of 64 positions that its keys and values take at the most."""

def step_together(texts: Sequence[Text]) -> None:
    """One step of several texts of one model, in one pass over its weights.

    A step takes up to 256 tokens of prompts, 64 where other texts are being written, in even
    shares. What goes wrong with one text stays with it. Raises MemoryError, and ValueError for
    texts of different models or one that comes twice; then all are as they were before.
    """

def available_memory() -> int:
    """Bytes this process can still take without swapping, control groups heeded."""

def append_together(
    parts: Sequence[
        tuple[Session, Sequence[int] | NDArray[np.integer[Any]]]
        | tuple[Session, Sequence[int] | NDArray[np.integer[Any]], int]
    ],
) -> None:
    """Session.append for several sessions of one model, in one pass over its weights.

    A part is (session, tokens) or (session, tokens, n_logits).

    Raises what `append` does, and ValueError for a session that comes twice or has another model;
    then no session has changed.
    """

def append_and_score(
    parts: Sequence[tuple[Session, Sequence[int], Sequence[int]]],
) -> list[list[float]]:
    """append_together for (session, tokens, targets), and how probable each target is.

    Gives, for every part, the log-probability of each target after its token, as `top_logprobs`
    has it. Holds a row of logits for every token. Raises what `append_together` does; ValueError
    where tokens and targets are not as many, IndexError for a target that is none; then no session
    has changed.
    """

def append_and_rank(
    session: Session, tokens: Sequence[int], targets: Sequence[int], n_top: int
) -> list[_Logprob]:
    """`append`, and of each target the log-probability after its token and the n_top most likely
    tokens there, as `top_logprobs` has them. Holds a row of logits for every token. Raises what
    `append_and_score` does, and ValueError for a negative n_top.
    """

def score(model: Model, contexts: ContextOptions, start: int, tokens: Sequence[int]) -> list[float]:
    """The log-probability of each token of a text that begins after the token `start`. Holds 128
    rows of logits at a time. Raises what `append_and_score` does, before anything is computed
    where the tokens do not fit the context.
    """

class Classifier:
    """The head of a model that classifies texts, or their tokens."""

    @property
    def of_tokens(self) -> bool: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def pad_token(self) -> int | None:
        """What may follow the token that a text is classified by."""
    @property
    def problem_type(self) -> str:
        """Hugging Face's word for what the logits mean; empty where the checkpoint has none."""

def has_language_model(model: Model) -> bool:
    """Whether the model predicts tokens: not where it was fine-tuned to classify."""

def classifier(model: Model) -> Classifier | None:
    """The model's classifier, where it has one."""

def classify(
    model: Model, contexts: ContextOptions, texts: Sequence[Sequence[int]]
) -> list[list[float]]:
    """The logits of the model's classifier for each text: one a label, or, where it classifies
    tokens, one a label for each token. Raises what `hidden_states` does, and UnsupportedError for
    a model without a classifier.
    """

def hidden_states(
    model: Model, contexts: ContextOptions, texts: Sequence[Sequence[int]], state: int
) -> list[NDArray[np.float32]]:
    """(n_tokens, n_embd) for each text: state 0 is the embedding, state i what layer i gives, and
    the last has gone through the final norm. Several texts are computed at once; each gets what it
    gets alone. Raises ContextLengthError, ValueError, before anything is computed.
    """

def embed(
    model: Model,
    contexts: ContextOptions,
    texts: Sequence[Sequence[int]],
    state: int,
    pooling: str,
    normalize: bool,
) -> list[list[float]]:
    """A vector for each text: its hidden states, pooled by "mean", "last" or "weighted". Raises
    what `hidden_states` does.
    """

class Compressor:
    """Bytes to compressed ones and back; see pygpt2edge.GPT2.compress.

    Raises ValueError for an n_ctx that the model does not have, UnsupportedError where its
    vocabulary is too large or has no token to start from.
    """

    @staticmethod
    def usual_block() -> int:
        """Bytes of text in a block where nobody says otherwise."""
    @staticmethod
    def most_message() -> int:
        """The most bytes of text that a message may have."""

    def __init__(self, model: Model, tokenizer: Tokenizer, n_ctx: int) -> None: ...
    def compress(
        self, text: bytes, block_size: int, progress: Callable[[int, int], None] | None
    ) -> bytes:
        """The file form, in blocks of at most so many bytes. Raises ValueError for a block_size
        out of its range."""
    def decompress(
        self, name: str, data: bytes, n_parallel: int, progress: Callable[[int, int], None] | None
    ) -> bytes:
        """The text of the file form, up to n_parallel blocks at a time; 0: as many as usual and as
        fit in memory. Raises FormatError and UnsupportedError, which begin with `name`."""
    def compress_message(self, text: bytes) -> bytes:
        """The message form. Raises ValueError for a text that is too long."""
    def decompress_message(self, name: str, data: bytes) -> bytes:
        """The text of the message form. Raises FormatError, which begins with `name`."""

class Suggester:
    """The next words of a text; see pygpt2edge.Suggester.

    Raises ValueError for max_passes or n_ctx out of range.
    """

    @staticmethod
    def usual_passes() -> int:
        """How many passes a search takes at most where nobody says otherwise."""

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        n_ctx: int,
        kv_type: str,
        max_passes: int,
    ) -> None: ...
    def suggest(self, text: str | bytes, k: int) -> list[tuple[str, str, float]]:
        """The k most probable next words of a text in UTF-8: (word, completion, probability).

        Raises ValueError for a k below 1, UnsupportedError where there is no token to start an
        empty text with.
        """
    def clear(self) -> None:
        """Forgets all that was computed, and gives its memory back."""

def character_class(code: int) -> str:
    """ "letter", "mark", "number", "space" or "other": what kind of character a code point is."""

def memory_estimate(
    path: str, n_ctx: int = 0, kv_type: str = "", n_threads: int = 0
) -> dict[str, int]:
    """Bytes a file's model will take: "weights", "cache", "workspace"."""

def measure_limits(n_threads: int = 0) -> dict[str, float]:
    """What this machine can do at most, on so many threads (0: one per physical core).

    "read_gb_s" (10^9 bytes from memory a second), "int8_gmac_s" (10^9 multiply-adds a second) and
    "barrier_us" (an empty loop shared by all threads). Takes half a second and 256 MB.
    Raises MemoryError, ValueError.
    """

def cpu() -> dict[str, Any]:
    """ "name", "features", "isas" (best first) and the default "n_threads"."""
