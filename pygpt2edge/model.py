"""GPT2: load a model, generate, compute logits.

Each method calls a function of a subpackage, which is loaded then: a program that writes one text
does not wait for the rest. The loop from logits to text is in the core, csrc/generate/text.h.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, overload

from pygpt2edge.generate.generation import Generation
from pygpt2edge.generate.results import Completion, Suggestion
from pygpt2edge.generate.stream import resume, stream
from pygpt2edge.loaded_model import LoadedModel, is_one_prompt
from pygpt2edge.options import MAX_DRAFT_TOKENS, SamplingOptions, SamplingParams, resolved

if TYPE_CHECKING:  # generating text needs no numpy, whose import takes a tenth of a second
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Never, Unpack

    from pygpt2edge.compress import Progress
    from pygpt2edge.generate.beam_search import EarlyStopping
    from pygpt2edge.generate.suggest import Suggester
    from pygpt2edge.inspect.rank import Ranked
    from pygpt2edge.states.embedding import Pooling
    from pygpt2edge.states.labels import Label, ScoreFunction, TokenLabel
    from pygpt2edge.states.token_labels import Aggregation


class GPT2(LoadedModel):
    """A loaded GPT-2 model.

    Args:
      path: a GGUF file of architecture "gpt2"; None loads the demo model of the package.
      n_threads: threads that compute; None means one per physical core this process may use.
      n_ctx: the most tokens of prompt and text together; None means as many as the model has
        positions for.
      kv_type: how attention keys and values are kept, "int8", "int16", "f16" or "f32"; None means
        f32 for a model stored in f32, so that its logits keep their full precision, and f16 for
        any other. int8 halves the cache of f16 and is the fastest, at some loss of precision;
        int16 is as precise as f16 and reads long prompts faster with AVX-512 VNNI.

    Raises:
      OSError: the file is missing or cannot be read.
      FormatError, UnsupportedError: it is damaged, or not a GPT-2 this package runs.
      MemoryError: the model and one text's cache do not fit in the free memory; raised before
        anything is loaded, with settings that would fit.

    `pygpt2edge.loaded_model.LoadedModel` describes its attributes: `tokenizer`, `config`, `memory`
    and others.

    Several threads may use one model at once; their passes take turns.

    Examples:
      >>> model = GPT2()
      >>> model.generate("It is a truth", max_tokens=3, temperature=0).finish_reason
      'length'
    """

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
          name: a hub name, the folder of a checkpoint, or its file of weights.
          type: "f32", "f16", "bf16", "q8_0" or "q4_0".
          revision: a branch, tag or commit of the hub's repository.
          progress: called with (bytes done, bytes in all, what) while converting.
          n_threads, n_ctx, kv_type: as for the constructor.
        """
        from pygpt2edge.convert.cached import cached_gguf

        path = cached_gguf(name, type, progress=progress, revision=revision)
        return cls(path, n_threads=n_threads, n_ctx=n_ctx, kv_type=kv_type)

    def stream(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Generation:
        """Generates text piece by piece.

        Args:
          prompt: text, or token ids. An empty one starts from the end-of-text token, which GPT-2
            was trained to see before every document.
          params, options: the options, as one object, as keywords, or both, where keywords win;
            `help(SamplingParams)` and docs/options.md describe each.

        Yields:
          Pieces whose texts joined are the completion's text; no character is ever split.

        Raises:
          ContextLengthError: the prompt does not fit the context.
          ValueError: an option is out of its range.
          TypeError: an option is of another type, or there is none of that name.
          MemoryError: the pages of a text that slides do not fit in memory.
        """
        return stream(self, prompt, resolved("stream", params, options))

    @overload
    def generate(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams | None = None,
        *,
        n: None = None,
        **options: Unpack[SamplingOptions],
    ) -> Completion: ...
    @overload
    def generate(
        self,
        prompt: list[str] | list[list[int]] | list[str | list[int]],
        params: SamplingParams | None = None,
        *,
        n: None = None,
        **options: Unpack[SamplingOptions],
    ) -> list[Completion]: ...
    @overload
    def generate(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams | None = None,
        *,
        n: int,
        **options: Unpack[SamplingOptions],
    ) -> list[Completion]: ...
    @overload
    def generate(
        self,
        prompt: list[str] | list[list[int]] | list[str | list[int]],
        params: SamplingParams | None = None,
        *,
        n: int,
        **options: Unpack[SamplingOptions],
    ) -> list[list[Completion]]: ...
    def generate(
        self,
        prompt: str | Sequence[int] | list[str] | list[list[int]] | list[str | list[int]],
        params: SamplingParams | None = None,
        *,
        n: int | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Completion | list[Completion] | list[list[Completion]]:
        """Generates a text and returns it whole, with its tokens, timings and finish reason.

        Takes the options of `stream`, and raises what it raises. With a list of prompts, returns a
        list of completions; up to 16 texts are computed at once, and each is exactly what
        `generate` gives for its prompt alone. For requests that come and go, or to stream them, use
        `Engine`.

        With `n`, as in OpenAI's API and vLLM, returns a list of n completions of the prompt, or for
        a list of prompts a list of such lists. Text i is exactly what `generate` gives with
        `seed + i` (modulo 2^64) as its seed; without one, it is drawn for the first text of each
        prompt. The prompt is computed once, and its keys and values are shared. Only where
        the context slides and its next window has begun within the prompt does each text compute
        the part in that window by itself.

        Examples:
          >>> [text.seed for text in GPT2().generate("It is", n=3, seed=5, max_tokens=1)]
          [5, 6, 7]
        """
        resolved_params = resolved("generate", params, options)
        if n is None and is_one_prompt(prompt):
            return stream(self, prompt, resolved_params).result()
        from pygpt2edge.engine.batch import generate_many

        n_each = 1 if n is None else n
        if is_one_prompt(prompt):
            return generate_many(self, [prompt], n_each, resolved_params)[0]
        texts = generate_many(self, prompt, n_each, resolved_params)
        return [completions[0] for completions in texts] if n is None else texts

    def resume(
        self,
        path: str | os.PathLike[str],
        max_tokens: int | None = None,
        *,
        draft_model: GPT2 | None = None,
        prompt_lookup: bool = False,
        max_draft_tokens: int = MAX_DRAFT_TOKENS,
    ) -> Generation:
        """Continues a text that `Generation.save` wrote to a file, exactly as it would have.

        Args:
          path: the file.
          max_tokens: the most tokens to add to what is there; None leaves it to the options that
            the text was begun with.
          draft_model, prompt_lookup, max_draft_tokens: as for `stream`; they are not part of the
            file.

        Its completion has the whole text, from the prompt on. Raises OSError; FormatError for a
        file that is damaged or none of ours; UnsupportedError where it was saved with another
        model, another context or another kv_type.
        """
        drafts = SamplingParams(
            draft_model=draft_model,
            prompt_lookup=prompt_lookup,
            max_draft_tokens=max_draft_tokens,
        )
        return resume(self, path, max_tokens, drafts)

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
        add_special_tokens: bool = True,
        **others: Never,
    ) -> list[Completion]:
        """The n best texts of a beam search, best first.

        At every step the `num_beams` most probable hypotheses are extended, in one pass over the
        weights; they share the memory of common tokens. The result is deterministic, and the same
        on every machine. The search is that of Hugging Face's
        `generate(num_beams=..., do_sample=False)`, and `score` its `sequences_scores`.

        Args:
          prompt: as for `stream`.
          num_beams: the number of hypotheses; 1 is greedy.
          n: how many texts to return, 1 to num_beams.
          max_tokens: the most tokens to add, at least 1; None fills the context, which ends a text
            in any case.
          length_penalty: a text's score is its log-probability divided by its number of tokens to
            this power, -50 to 50: above 0 favours long texts, below 0 short ones.
          early_stopping: when to end, once num_beams hypotheses are finished. True: at once. False:
            when the best open one, ended now, would score no better than the worst finished one.
            "never": when it could not at any length.
          stop: strings that end a text, which does not include them.
          ignore_eos: go on after an end-of-text token.
          allow_special: read "<|endoftext|>" in the prompt as the token, not as plain text.
          add_special_tokens: put the tokens around the prompt that the model's tokenizer puts
            around a text.

        Raises:
          ContextLengthError: the prompt does not fit the context.
          ValueError: an option is out of its range.
          TypeError: there is no option of that name; regex, json_schema and grammar are none of a
            beam search.

        Examples:
          >>> [text.finish_reason for text in GPT2().beam_search("It is", 3, 2, max_tokens=2)]
          ['length', 'length']
        """
        from pygpt2edge.generate.beam_search import beam_search, check_names

        check_names(others)
        return beam_search(
            self,
            prompt,
            num_beams=num_beams,
            n=n,
            max_tokens=max_tokens,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
            stop=stop,
            ignore_eos=ignore_eos,
            allow_special=allow_special,
            add_special_tokens=add_special_tokens,
        )

    def rank(
        self,
        prompt: str | Sequence[int],
        candidates: Sequence[str | Sequence[int]],
        *,
        allow_special: bool = False,
    ) -> list[Ranked]:
        """Ranks candidate continuations of a prompt by log-probability, the most probable first.

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

        Examples:
          >>> ranked = GPT2().rank("It is a truth universally", [" banana", " acknowledged"])
          >>> [candidate.index for candidate in ranked]
          [1, 0]
        """
        from pygpt2edge.inspect.rank import rank

        return rank(self, prompt, candidates, allow_special)

    def logits(self, text: str | Sequence[int]) -> NDArray[np.float32]:
        """The logits after each token of a text, or of ids: float32 (n_tokens, n_vocab), where row
        i is for token i + 1.
        """
        return self.session().append_all_logits(self.encoded(text))

    def score(self, text: str | Sequence[int]) -> NDArray[np.float32]:
        """The log-probability of every token of a text, the first given an end-of-text token.

        Returns float32 (n_tokens): natural logarithms. The text may have n_ctx tokens.
        """
        from pygpt2edge.inspect.scoring import score

        return score(self, text)

    def attention(
        self, text: str | Sequence[int], *, layers: Sequence[int] | None = None
    ) -> NDArray[np.float32]:
        """The attention weights of a pass over a text.

        Args:
          text: text, or token ids; an empty one is the token that `stream` would start from.
          layers: numbers from 0 on; None means all. Weights of other layers take no memory.

        Returns:
          float32 (number of layers, n_head, n_tokens, n_tokens), layers in the order given. Row i
          has the weights of token i over tokens 0 to i, which sum to 1, and zeros after i.

        Raises:
          ContextLengthError: the text does not fit the context.
          ValueError: a layer is not there, or comes twice.
          MemoryError: the weights do not fit in the free memory; raised before it is allocated.
        """
        from pygpt2edge.inspect.attention import attention

        return attention(self, text, layers)

    def hidden_states(
        self,
        texts: str | Sequence[int] | list[str] | list[list[int]] | list[str | list[int]],
        layer: int = -1,
        *,
        truncate: bool = False,
        allow_special: bool = False,
    ) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """The hidden states of a text's tokens, or of several texts' in batches.

        Args:
          texts: a text or its token ids, or a list of those. An empty text is the token that
            `stream` would start from.
          layer: which, as transformers counts its hidden_states: 0 is the embedding, i what layer
            i gives, n_layer the last, through the final norm. -1 is the last, -2 the one before.
          truncate: compute the beginning of a text that is longer than the context, as
            transformers' tokenizers do by truncation=True, and raise no error.
          allow_special: read "<|endoftext|>" in a text as the token, not as plain text.

        Returns:
          float32 (n_tokens, n_embd), or a list of those for a list. Each is what its text gives
          alone, to the bit, whatever the batch and the number of threads.

        Raises:
          ContextLengthError: a text does not fit the context; of several, says which.
          ValueError: a layer is not there, or a token not in the vocabulary.
        """
        from pygpt2edge.states.embedding import hidden_states

        return hidden_states(self, texts, layer, truncate=truncate, allow_special=allow_special)

    def embed(
        self,
        texts: str | Sequence[int] | list[str] | list[list[int]] | list[str | list[int]],
        layer: int = -1,
        pooling: Pooling = "mean",
        normalize: bool = True,
        *,
        truncate: bool = False,
        allow_special: bool = False,
    ) -> NDArray[np.float32]:
        """A text as a vector, for search and clustering, or several texts in batches.

        Args:
          texts, layer, truncate, allow_special: as for `hidden_states`.
          pooling: what becomes of the hidden states of a text's tokens. "mean"; "last", the last
            token's; or "weighted", the mean where token i, from 1, counts i times, as SGPT has it:
            late tokens have seen more of the text. As sentence-transformers' "mean", "lasttoken"
            and "weightedmean".
          normalize: make each vector 1 long, so that a dot product is the cosine similarity.

        Returns:
          float32 (n_embd), or (number of texts, n_embd) for a list.

        Raises:
          ContextLengthError, ValueError: as for `hidden_states`.

        Examples:
          >>> GPT2().embed(["A cat.", "A dog."]).shape
          (2, 256)
        """
        from pygpt2edge.states.embedding import embed

        return embed(
            self, texts, layer, pooling, normalize, truncate=truncate, allow_special=allow_special
        )

    @overload
    def classify(
        self,
        texts: str | Sequence[int],
        top_k: int | None = 1,
        function_to_apply: ScoreFunction | None = None,
        *,
        truncate: bool = False,
        allow_special: bool = False,
    ) -> list[Label]: ...
    @overload
    def classify(
        self,
        texts: list[str] | list[list[int]] | list[str | list[int]],
        top_k: int | None = 1,
        function_to_apply: ScoreFunction | None = None,
        *,
        truncate: bool = False,
        allow_special: bool = False,
    ) -> list[list[Label]]: ...
    def classify(
        self,
        texts: str | Sequence[int] | list[str] | list[list[int]] | list[str | list[int]],
        top_k: int | None = 1,
        function_to_apply: ScoreFunction | None = None,
        *,
        truncate: bool = False,
        allow_special: bool = False,
    ) -> list[Label] | list[list[Label]]:
        """The labels that a fine-tune gives a text, the most probable first, or several texts'.

        For models converted from GPT2ForSequenceClassification. The scores are those of
        transformers' pipeline("text-classification").

        Args:
          texts, truncate, allow_special: as for `hidden_states`. Padding at the end of token ids
            is left out.
          top_k: how many labels; None for all.
          function_to_apply: "softmax", "sigmoid" or "none". By default what the checkpoint's
            problem_type asks for: none for a regression, sigmoid for several labels of a text or a
            single label in all, else softmax.

        Returns:
          A list of labels, or a list of such lists for a list.

        Raises:
          UnsupportedError: the model does not classify texts.
          ContextLengthError, ValueError: as for `hidden_states`, or an option is out of its range.
        """
        from pygpt2edge.states.text_labels import classify

        return classify(
            self, texts, top_k, function_to_apply, truncate=truncate, allow_special=allow_special
        )

    @overload
    def classify_tokens(
        self,
        texts: str | Sequence[int],
        aggregation_strategy: Aggregation = "none",
        *,
        ignore_labels: Sequence[str] = ("O",),
        truncate: bool = False,
        allow_special: bool = False,
    ) -> list[TokenLabel]: ...
    @overload
    def classify_tokens(
        self,
        texts: list[str] | list[list[int]] | list[str | list[int]],
        aggregation_strategy: Aggregation = "none",
        *,
        ignore_labels: Sequence[str] = ("O",),
        truncate: bool = False,
        allow_special: bool = False,
    ) -> list[list[TokenLabel]]: ...
    def classify_tokens(
        self,
        texts: str | Sequence[int] | list[str] | list[list[int]] | list[str | list[int]],
        aggregation_strategy: Aggregation = "none",
        *,
        ignore_labels: Sequence[str] = ("O",),
        truncate: bool = False,
        allow_special: bool = False,
    ) -> list[TokenLabel] | list[list[TokenLabel]]:
        """The labels that a fine-tune gives a text's tokens, such as names of people and places.

        For models converted from GPT2ForTokenClassification. Labels, scores and places are those of
        transformers' pipeline("token-classification").

        Args:
          texts, truncate, allow_special: as for `hidden_states`.
          aggregation_strategy: "none", a label for each token; or "simple", neighbours of one label
            as one, where "B-" begins another.
          ignore_labels: what is left out.

        Returns:
          A list of labels, or a list of such lists for a list.

        Raises:
          UnsupportedError: the model does not classify tokens.
          ContextLengthError, ValueError: as for `hidden_states`, or an option is unknown.
        """
        from pygpt2edge.states.token_labels import classify_tokens

        return classify_tokens(
            self, texts, aggregation_strategy, ignore_labels,
            truncate=truncate, allow_special=allow_special,
        )  # fmt: skip

    def compress(
        self,
        data: bytes | str,
        *,
        message: bool = False,
        block_size: int | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """Compresses a text by the model's probabilities, without loss.

        The better the model predicts a text, the shorter it becomes. `decompress` needs the same
        model, and no more: the result is the same to the bit on every machine, with any number of
        threads. docs/compression.md describes the format and has figures.

        Args:
          data: any bytes, or a text, which is encoded as UTF-8. What the model predicts badly, as
            most that is no text, is stored as it is.
          message: make the shortest form, for a text of some hundred bytes at most: two bytes and
            the code. `decompress` is to be told so too. At most 65,536 bytes.
          block_size: the most bytes of text in a block, 32,768 by default. Blocks are decompressed
            several at a time: smaller ones faster, longer ones become shorter.
          progress: called with (bytes done, bytes in all, "") now and then.

        Raises:
          ValueError: block_size is out of its range, or a message too long.

        Examples:
          >>> model = GPT2()
          >>> model.decompress(model.compress("It is a truth universally acknowledged"))
          b'It is a truth universally acknowledged'
        """
        from pygpt2edge.compress import compress

        return compress(self, data, message=message, block_size=block_size, progress=progress)

    def decompress(
        self,
        data: bytes,
        *,
        message: bool = False,
        n_parallel: int | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """The bytes that `compress` was given.

        Args:
          data: what `compress` returned.
          message: whether it is a message.
          n_parallel: how many blocks are computed at a time, each with a cache of its own. None is
            16, or fewer where those would take more than half of the free memory.
          progress: called with (bytes done, bytes in all, "") now and then.

        Raises:
          FormatError: the data is damaged, or nothing that `compress` made. A checksum of the text
            is verified before it is returned: of 32 bits for each block, of 15 for a message.
          UnsupportedError: it was compressed with another model.
        """
        from pygpt2edge.compress import decompress

        return decompress(self, data, message=message, n_parallel=n_parallel, progress=progress)

    def suggest(self, text: str, k: int = 3) -> list[Suggestion]:
        """The most probable next words, as for a keyboard, the most probable first.

        A word that the text ends in is completed; its case is kept, and it may be suggested as it
        stands. After a space come words, after a newline too, after other punctuation words with a
        space before them or none. A word is letters, digits and inner apostrophes; a character of
        Chinese, Japanese, Thai and other scripts without spaces is one by itself. Where the typed
        word is longer than 64 letters, there are no suggestions.

        Calls for a text that changed by a few letters are fast, because results are cached; see
        `Suggester`. Of a long text only the end is used: about half a context of it or more.

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
        from pygpt2edge.generate.suggest import Suggester

        return Suggester(self)
