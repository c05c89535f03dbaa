"""GPT2: load a model, generate, look at its logits.

A prompt's way: text -> tokenizer -> ids -> session (the core's forward pass) -> logits -> sampler
-> id -> text; the loop is in generation.py.
"""

from __future__ import annotations

import functools
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pygpt2edge import _core, saved
from pygpt2edge.errors import UnsupportedError
from pygpt2edge.generation import GenerateOptions, Generation
from pygpt2edge.results import Completion, Ranked, Suggestion
from pygpt2edge.speculation import MAX_GUESSES, speculation
from pygpt2edge.tokenizer import Tokenizer
from pygpt2edge.window import SlidingWindow, Window

if TYPE_CHECKING:  # generating text needs no numpy, whose import takes a tenth of a second
    import numpy as np
    from numpy.typing import NDArray

    from pygpt2edge.beam_search import EarlyStopping
    from pygpt2edge.suggest import Suggester


def demo_model_path() -> Path:
    """The small model that comes with the package: real, trained, and not very wise."""
    return Path(str(resources.files("pygpt2edge") / "data" / "demo.gguf"))


def _tokenizer_tables(path: Path) -> _core.TokenizerTables:
    return _core.tokenizer_tables(_core.GgufFile(path))


class GPT2:
    """A GPT-2 model ready to write.

    Args:
      path: a GGUF file of architecture "gpt2"; None loads the demo model of the package.
      n_threads: threads that compute; None means one per physical core this process may use.
      n_ctx: the most tokens of prompt and text together; None means as many as the model has
        positions for.
      kv_type: how attention keys and values are kept, "int8", "f16" or "f32"; None means f32 for a
        model stored in f32, so that its logits keep their full precision, and f16 for any other.
        int8 halves the cache of f16 and is the fastest, at some loss of precision.

    Raises:
      OSError: the file is missing or cannot be read.
      FormatError, UnsupportedError: it is damaged, or not a GPT-2 this package runs.
      MemoryError: the model and one text's cache do not fit the memory that is free; said before
        anything is loaded, and what would make it fit.

    Several threads may use one model at once; their passes take turns.

    >>> model = GPT2()
    >>> model.generate("It is a truth", max_tokens=3, temperature=0).finish_reason
    'length'
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        n_threads: int | None = None,
        n_ctx: int | None = None,
        kv_type: str | None = None,
    ) -> None:
        start = time.perf_counter()
        self.path = demo_model_path() if path is None else Path(path)
        _refuse_what_is_not_a_file(self.path)
        # The vocabulary is read while the weights are packed: neither needs Python meanwhile.
        with ThreadPoolExecutor(1) as executor:
            tables = executor.submit(_tokenizer_tables, self.path)
            self._model = _core.Model(
                os.fsencode(self.path), n_threads or 0, n_ctx or 0, kv_type or ""
            )
            self.tokenizer = Tokenizer(tables.result())
        self.config: dict[str, Any] = self._model.config
        self.n_ctx: int = self.config["n_ctx"] if n_ctx is None else n_ctx
        self.kv_type: str = self._model.kv_type
        self._cache_bytes = self.session().cache_bytes
        if self.tokenizer.n_vocab > self.config["n_vocab"]:
            raise UnsupportedError(
                f"{self.path}: tokenizer.ggml.tokens has {self.tokenizer.n_vocab} tokens, "
                f"the model {self.config['n_vocab']}: convert the model again"
            )
        self.load_s = time.perf_counter() - start

    @classmethod
    def from_pretrained(
        cls,
        name: str,
        type: str = "q8_0",
        *,
        revision: str | None = None,
        progress: Callable[[int, int, str], None] | None = None,
        n_threads: int | None = None,
        n_ctx: int | None = None,
        kv_type: str | None = None,
    ) -> GPT2:
        """Loads a model by its hub name, such as "openai-community/gpt2".

        The first call fetches the checkpoint (which needs the [hub] extra and a network) and
        converts it to `type`; the result is kept in the user's cache folder ($PYGPT2EDGE_CACHE),
        and later calls need neither.

        Args:
          name: a hub name, or the folder of a checkpoint.
          type: "f32", "f16", "bf16", "q8_0" or "q4_0".
          revision: a branch, tag or commit of the hub's repository.
          progress: called with (bytes done, bytes in all, what) while converting.
          n_threads, n_ctx, kv_type: as for the constructor.
        """
        from pygpt2edge.hub import cached_gguf

        path = cached_gguf(name, type, progress=progress, revision=revision)
        return cls(path, n_threads=n_threads, n_ctx=n_ctx, kv_type=kv_type)

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash that tells this model from others, whatever its file is called."""
        return saved.fingerprint(self.path)

    @property
    def code_bias(self) -> int:
        """What the kernels of this machine add to the codes of an int8 cache: 0 or 128."""
        return self._model.code_bias

    @property
    def bytes_per_token(self) -> int:
        """Bytes of weights that writing one token reads: what bounds decoding."""
        return self._model.bytes_per_token

    @property
    def multiply_adds_per_token(self) -> int:
        """Multiply-adds of the layers for one token: what bounds reading a prompt."""
        return self._model.multiply_adds_per_token

    @property
    def isa(self) -> str:
        """The instruction set in use: "avx512_vnni", "avx2", "scalar" ..."""
        return self._model.isa

    @property
    def n_threads(self) -> int:
        """How many threads compute."""
        return self._model.n_threads

    @property
    def memory(self) -> dict[str, int]:
        """Bytes taken: the weights, one session's cache, and the workspace all sessions share."""
        return {
            "weights": self._model.weight_bytes,
            "cache": self._cache_bytes,
            "workspace": self._model.workspace_bytes,
        }

    @property
    def cache_bytes_used(self) -> int:
        """Bytes that the keys and values of all sessions take now; shared ones count once."""
        return self._model.cache_bytes_used

    def session(self) -> _core.Session:
        """An empty sequence with a cache of its own, for those who drive the model by hand."""
        return _core.Session(self._model, self.n_ctx, self.kv_type)

    def stream(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int | None = 64,
        temperature: float = 0.8,
        top_k: int = 40,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        logit_bias: Mapping[int, float] | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        logprobs: int = 0,
        ignore_eos: bool = False,
        context_overflow: str = "stop",
        keep: int = 512,
        pin: int = 0,
        allow_special: bool = False,
        draft: GPT2 | None = None,
        prompt_lookup: bool = False,
        max_guesses: int = MAX_GUESSES,
    ) -> Generation:
        """Generates text piece by piece.

        Args:
          prompt: text, or token ids. An empty one starts from the end-of-text token, which GPT-2
            was trained to see before every document.
          max_tokens: the most tokens to add; None goes on until the context is full, or for ever
            where it slides.
          temperature: divides the logits; 0 always takes the most likely token.
          top_k: keeps only the k most likely tokens; 0 keeps all.
          top_p: keeps the fewest most likely tokens that hold this share of the probability.
          min_p: keeps tokens at least this likely relative to the most likely one.
          repetition_penalty: above 1 makes tokens of the text less likely to come again.
          logit_bias: numbers added to the logits of tokens; -inf bans one.
          seed: the same seed and options give the same text on every machine; None draws one.
          stop: strings that end the text, which does not include them.
          logprobs: report the log-probability of each token and of this many most likely ones.
          ignore_eos: go on after an end-of-text token.
          context_overflow: what happens when the context is full: "stop" ends the text, "error"
            raises ContextLengthError, "slide" goes on, seeing the end of the text only; prompts may
            be longer than the context then.
          keep: how many of the last tokens a new context begins with; where the default is more
            than half of the context, half of it.
          pin: how many of the prompt's first tokens every context begins with.
          allow_special: read "<|endoftext|>" in the prompt as the token, not as plain text.
          draft: a smaller model of the same vocabulary that guesses the next tokens, of which those
            that this model would have chosen anyway are computed in one pass. The text stays the
            same in every bit; it comes faster where guesses are often right, and guessing rests
            where they are not.
          prompt_lookup: guess that the text repeats itself: with documents, lists, code.
          max_guesses: the most tokens to guess at a time, 1 to 15.

        Yields:
          Pieces whose texts joined are the completion's text; no character is ever split.

        Raises:
          ContextLengthError: the prompt does not fit the context.
          ValueError: an option is out of its range.
          MemoryError: the second context of a text that slides does not fit in memory.
        """
        options = GenerateOptions(
            context_overflow=context_overflow,
            keep=keep,
            pin=pin,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            logit_bias=logit_bias or {},
            seed=seed,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            logprobs=logprobs,
            ignore_eos=ignore_eos,
        )
        tokens = self._prompt_tokens(prompt, allow_special)
        generation = Generation(self, self.window(options), tokens, options)
        generation.speculation = speculation(
            self, options, draft=draft, prompt_lookup=prompt_lookup, max_guesses=max_guesses
        )
        return generation

    def generate(self, prompt: str | Sequence[int], **options: Any) -> Completion:
        """Generates a text and returns it whole, with its tokens, timings and finish reason.

        Takes the options of `stream`, and raises what it raises. With `num_beams` it is the best
        text of `beam_search`, and takes the options of that.
        """
        if "num_beams" in options:
            return self.beam_search(prompt, n=1, **options)[0]
        generation = self.stream(prompt, **options)
        for _ in generation:
            pass
        return generation.completion()

    def resume(
        self,
        path: str | os.PathLike[str],
        max_tokens: int | None = None,
        *,
        draft: GPT2 | None = None,
        prompt_lookup: bool = False,
        max_guesses: int = MAX_GUESSES,
    ) -> Generation:
        """Goes on with a text that `Generation.save` has put in a file, exactly as it would have.

        Args:
          path: the file.
          max_tokens: the most tokens to add to what is there; None leaves it to the options that
            the text was begun with.
          draft, prompt_lookup, max_guesses: as for `stream`; they are not part of the file.

        Its completion has the whole text, from the prompt on. Raises OSError; FormatError for a
        file that is damaged or none of ours; UnsupportedError where it was saved with another
        model, another context or another kv_type.
        """
        from pygpt2edge.resume import resume

        generation = resume(self, Path(path), max_tokens)
        generation.speculation = speculation(
            self,
            generation.options,
            draft=draft,
            prompt_lookup=prompt_lookup,
            max_guesses=max_guesses,
        )
        return generation

    def generate_batch(
        self, prompts: Sequence[str | Sequence[int]], *, max_batch: int = 16, **options: Any
    ) -> list[Completion]:
        """Generates the continuations of many prompts, up to `max_batch` of them at once.

        Takes the options of `stream` for all of them; each text is exactly what `generate` gives
        for its prompt. For requests that come and go, or to stream them, use `Engine`.
        """
        from pygpt2edge.engine import Engine

        if not prompts:
            return []
        with Engine(self, max_batch=max_batch, max_queue=len(prompts)) as engine:
            requests = [engine.submit(prompt, **options) for prompt in prompts]
            return [request.result() for request in requests]

    def generate_n(
        self, prompt: str | Sequence[int], n: int, *, max_batch: int = 16, **options: Any
    ) -> list[Completion]:
        """Generates n texts after one prompt, which is read once, up to `max_batch` at a time.

        Takes the options of `stream`, and raises what it raises. Text i is exactly what `generate`
        gives with `seed + i` (modulo 2^64) as its seed; with none, one is drawn for the first text.
        With `num_beams` they are the n best texts of `beam_search`, and the options are those of
        that.

        All texts share the memory of the prompt. Only where the context slides and its next window
        has begun within the prompt does each text read the part in that window for itself.
        """
        from pygpt2edge.engine import Engine

        if n < 1:
            raise ValueError(f"n is {n}; give 1 or more")
        if "num_beams" in options:
            return self.beam_search(prompt, n=n, **options)
        seed = options.pop("seed", None)
        seed = secrets.randbits(64) if seed is None else seed
        prompt = self._prompt_tokens(prompt, options.pop("allow_special", False))
        with Engine(self, max_batch=max_batch, max_queue=n) as engine:
            # The engine keeps what it has read, here the prompt, for texts that begin with it.
            engine.submit(prompt, seed=seed, **options | {"max_tokens": 0}).result()
            requests = [engine.submit(prompt, seed=(seed + i) % 2**64, **options) for i in range(n)]
            return [request.result() for request in requests]

    def beam_search(
        self,
        prompt: str | Sequence[int],
        num_beams: int = 4,
        n: int = 1,
        *,
        max_tokens: int | None = 64,
        length_penalty: float = 1.0,
        early_stopping: EarlyStopping = False,
        stop: str | Sequence[str] = (),
        ignore_eos: bool = False,
        allow_special: bool = False,
    ) -> list[Completion]:
        """The n most probable texts after a prompt that a beam search finds, best first.

        At every step the `num_beams` most probable beginnings go on, side by side in one pass over
        the weights; the memory of what they have in common is shared. Nothing is drawn: the same
        options give the same texts on every machine. The search is that of Hugging Face's
        `generate(num_beams=..., do_sample=False)`, and `score` its `sequences_scores`.

        Args:
          prompt: as for `stream`.
          num_beams: how many beginnings are kept; 1 is greedy.
          n: how many texts to return, 1 to num_beams.
          max_tokens: the most tokens to add, at least 1; None fills the context, which ends a text
            in any case.
          length_penalty: a text's score is its log-probability divided by its number of tokens to
            this power, -50 to 50: above 0 favours long texts, below 0 short ones.
          early_stopping: when to end, once there are num_beams texts. True: at once. False: when
            the best beginning would score no better than the worst of them if it ended now.
            "never": when it could not even at the length that scores best.
          stop: strings that end a text, which does not include them.
          ignore_eos: go on after an end-of-text token.
          allow_special: read "<|endoftext|>" in the prompt as the token, not as plain text.

        Raises:
          ContextLengthError: the prompt does not fit the context.
          ValueError: an option is out of its range.

        >>> [text.finish_reason for text in GPT2().beam_search("It is", 3, 2, max_tokens=2)]
        ['length', 'length']
        """
        from pygpt2edge.beam_search import BeamOptions, BeamSearch

        options = BeamOptions(
            num_beams=num_beams,
            n=n,
            max_tokens=max_tokens,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            ignore_eos=ignore_eos,
        )
        return BeamSearch(self, self._prompt_tokens(prompt, allow_special), options).run()

    def rank(
        self,
        prompt: str | Sequence[int],
        candidates: Sequence[str | Sequence[int]],
        *,
        allow_special: bool = False,
    ) -> list[Ranked]:
        """How probable each candidate is as what follows a prompt, the most probable first.

        The prompt is computed once, and what follows it for up to 16 candidates in a pass. As for
        `score`, an end-of-text token comes before the prompt. Equals keep their order; no
        candidates give an empty list.

        A candidate is encoded together with the prompt, as any text is, and where they meet the
        tokens may be others than the prompt has alone. Scores therefore begin, for all alike, at
        the first token where any candidate's text differs from the prompt's own tokens: the
        differences between scores are those between the whole texts. Where the prompt or a
        candidate is given as token ids, they are simply put together.

        Args:
          prompt: text, or token ids; may be empty.
          candidates: texts, or token ids.
          allow_special: read "<|endoftext|>" in a text as the token, not as plain text.

        Raises:
          ContextLengthError: a candidate does not fit the context with the prompt; says which.
          ValueError: a token is not in the vocabulary.

        >>> ranked = GPT2().rank("It is a truth universally", [" banana", " acknowledged"])
        >>> [candidate.index for candidate in ranked]
        [1, 0]
        """
        from pygpt2edge.rank import rank

        return rank(self, self._start_token(), prompt, candidates, allow_special)

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The logits after each token: float32 (len(tokens), n_vocab), row i for token i + 1."""
        return self.session().append_all_logits(tokens)

    def score(self, text: str | Sequence[int]) -> NDArray[np.float32]:
        """The log-probability of every token of a text, the first given an end-of-text token.

        Returns float32 (n_tokens): natural logarithms. The text may have n_ctx tokens.
        """
        import numpy as np

        from pygpt2edge.scoring import logprobs

        tokens = self.tokenizer.encode(text) if isinstance(text, str) else list(text)
        inputs = [self._start_token(), *tokens][:-1]
        session = self.session()
        session.check(inputs)
        (scores,) = logprobs([(session, inputs, tokens)])
        return np.array(scores, np.float32)

    def attention(
        self, text: str | Sequence[int], *, layers: Sequence[int] | None = None
    ) -> NDArray[np.float32]:
        """How the tokens of a text look at one another: the attention weights of a pass over it.

        Args:
          text: text, or token ids; an empty one is the token that `stream` would start from.
          layers: numbers from 0 on; None means all. Weights of other layers take no memory.

        Returns:
          float32 (number of layers, n_head, n_tokens, n_tokens), layers in the order given. There,
          row i says how token i looks at tokens 0 to i: it adds up to 1, and has zeros after i.

        Raises:
          ContextLengthError: the text does not fit the context.
          ValueError: a layer is not there, or comes twice.
          MemoryError: the weights do not fit the memory that is free; said before it is taken.
        """
        tokens = self.tokens_of(text)
        chosen = list(range(self.config["n_layer"]) if layers is None else layers)
        session = self.session()
        session.check(tokens)
        _check_weights_fit(len(chosen), self.config["n_head"], len(tokens))
        return session.append_attention(tokens, chosen)

    def tokens_of(self, text: str | Sequence[int]) -> list[int]:
        """The tokens that stand for a text: its own, or for an empty one the start token."""
        return self._prompt_tokens(text, allow_special=False)

    def suggest(self, text: str, k: int = 3) -> list[Suggestion]:
        """The words that probably come next, as a keyboard suggests them, the most probable first.

        A word that the text ends in is completed; its case is kept, and it may be suggested as it
        stands. After a space come words, after a newline too, after other punctuation words with a
        space before them or none. A word is letters, digits and inner apostrophes; a character of
        Chinese, Japanese, Thai and other scripts without spaces is one by itself. Where the typed
        word is longer than 64 letters, there are no suggestions.

        Asked again after a few letters more or less it answers quickly, for most is known then; see
        `pygpt2edge.suggest.Suggester` for what is kept. Of a long text only the end is seen: about
        half a context of it or more.

        Args:
          text: plain text up to the cursor; "<|endoftext|>" in it is no token.
          k: how many words. There may be fewer: a search finds some 24 at most.

        Each probability is that of the word given the text, what is typed of it included: the
        probability of its tokens, and of its end after them, over that of all that begins with what
        is typed. Ways to cut a word into tokens add up as far as they are found; those that are not
        would each add less than the last word has, or less than 0.001. Words rarer than that are
        suggested where there are no others, and need not be the best of their kind. Words and
        probabilities are the same on every processor. Raises ValueError where k is less than 1.
        """
        return self._suggester.suggest(text, k)

    @functools.cached_property
    def _suggester(self) -> Suggester:
        from pygpt2edge.suggest import Suggester

        return Suggester(self)

    def window(self, options: GenerateOptions) -> Window:
        """An empty window, as the options want it."""
        if options.context_overflow != "slide":
            return Window(self.session)
        _check_second_context_fits(self._cache_bytes)
        keep = options.keep
        if keep == GenerateOptions.keep:  # nobody's choice, and too much for a short context
            keep = min(keep, max(1, (self.n_ctx - options.pin) // 2))
        return SlidingWindow(self.session, keep, options.pin)

    def _prompt_tokens(self, prompt: str | Sequence[int], allow_special: bool) -> list[int]:
        if isinstance(prompt, str):
            tokens = self.tokenizer.encode(prompt, allow_special=allow_special)
        else:
            tokens = [int(token) for token in prompt]
        return tokens or [self._start_token()]

    def _start_token(self) -> int:
        return self.tokenizer.tables.start_token()

    def __repr__(self) -> str:
        shape = "{n_layer} layers of {n_embd}".format(**self.config)
        return f"<GPT2 {self.path.name}: {shape}, {self.n_threads} threads, {self.isa}>"


def _refuse_what_is_not_a_file(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder; convert the checkpoint in it first: "
            f"pygpt2edge convert {path} model.gguf"
        )


def _check_second_context_fits(cache_bytes: int) -> None:
    """Room for the first was made sure of when the model was loaded."""
    available = _core.available_memory()
    if cache_bytes > available:
        raise MemoryError(
            f"a text that slides takes a second context of {cache_bytes / 1e6:.0f} MB, and "
            f'{available / 1e6:.0f} MB are available: load the model with kv_type="int8" '
            "(--kv-type int8) or a smaller n_ctx (-c)"
        )


def _check_weights_fit(n_layers: int, n_head: int, n_tokens: int) -> None:
    layer_bytes = 4 * n_head * n_tokens**2
    available = _core.available_memory()
    if n_layers * layer_bytes <= available:
        return
    fitting = available // layer_bytes
    fewer = f"ask for at most {fitting} of the layers, or for " if fitting else "ask for "
    raise MemoryError(
        f"the attention weights of {n_tokens} tokens in {n_layers} layers take "
        f"{n_layers * layer_bytes / 1e6:.0f} MB of memory, and {available / 1e6:.0f} MB are "
        f"available: {fewer}those of a shorter text"
    )
