"""What is done with each record, and the fields that come of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Protocol

from pygpt2edge.engine.batch import MAX_BATCH
from pygpt2edge.engine.engine import Engine
from pygpt2edge.engine.request import Request
from pygpt2edge.errors import Gpt2EdgeError
from pygpt2edge.inspect.rank import rank
from pygpt2edge.inspect.scoring import scores_of
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.options import SEEDS, SamplingParams
from pygpt2edge.states.embedding import Pooling, vectors_of

# A record, or the reason why there is none in its place.
Record = Mapping[str, Any] | ValueError
Result = dict[str, Any]
# What a record can be at fault for. Anything else ends the run, which can be gone on with.
_FAULTS = (Gpt2EdgeError, ValueError, TypeError)


class Task(Protocol):
    """Makes one result of each record, which is {"error": why} for a bad one."""

    @property
    def columns(self) -> dict[str, str]:
        """Field -> its type in a Parquet file, as pyarrow calls it."""
        ...

    def description(self) -> dict[str, Any]:
        """All that the results depend on, besides the model and the records."""
        ...

    def results(
        self, model: LoadedModel, records: Iterable[Record], first: int
    ) -> Iterator[Result]:
        """In the order of the records, of which the first has this number."""
        ...


@dataclass(frozen=True)
class Generate:
    """Continues the text in a field of each record: fields "completion" and "finish_reason".

    Record i, from 0, has the seed `params.seed` + i (0 + i where none is given), so that its text
    does not depend on where a run began. Texts are written in batches.
    """

    params: SamplingParams
    prompt: str = "prompt"

    @property
    def columns(self) -> dict[str, str]:
        return {"completion": "string", "finish_reason": "string"}

    def description(self) -> dict[str, Any]:
        params = asdict(replace(self.params, draft_model=None))
        return {"task": "generate", "field": self.prompt, "params": params}

    def results(
        self, model: LoadedModel, records: Iterable[Record], first: int
    ) -> Iterator[Result]:
        seed = self.params.seed or 0
        waiting: deque[Request | Result] = deque()
        with Engine(model, max_batch=MAX_BATCH, max_queue=2 * MAX_BATCH) as engine:
            # Options that make no sense are no record's fault.
            engine.submit("", replace(self.params, max_tokens=0)).result()
            for number, record in enumerate(records, first):
                own = replace(self.params, seed=(seed + number) % SEEDS)
                waiting.append(self._begun(engine, record, own))
                if len(waiting) == 2 * MAX_BATCH:
                    yield _ended(waiting.popleft())
            while waiting:
                yield _ended(waiting.popleft())

    def _begun(self, engine: Engine, record: Record, params: SamplingParams) -> Request | Result:
        try:
            return engine.submit(_text(record, self.prompt), params)
        except _FAULTS as error:
            return _error(error)


def _ended(begun: Request | Result) -> Result:
    if not isinstance(begun, Request):
        return begun
    try:
        completion = begun.result()
    except _FAULTS as error:
        return _error(error)
    return {"completion": completion.text, "finish_reason": completion.finish_reason}


@dataclass(frozen=True)
class Score:
    """How probable the text in a field of each record is: "logprob", the natural logarithm of its
    tokens' probabilities after the start of a text, summed, and "n_tokens"."""

    text: str = "text"

    @property
    def columns(self) -> dict[str, str]:
        return {"logprob": "double", "n_tokens": "int64"}

    def description(self) -> dict[str, Any]:
        return {"task": "score", "field": self.text}

    def results(
        self, model: LoadedModel, records: Iterable[Record], first: int
    ) -> Iterator[Result]:
        del first

        def result(record: Record) -> Result:
            scores = scores_of(model, _text(record, self.text))
            return {"logprob": sum(scores), "n_tokens": len(scores)}

        return _each(result, records)


@dataclass(frozen=True)
class Rank:
    """Which of each record's candidates is the most probable after its prompt: "choice", its number
    from 0, and "logprobs" of all, in the record's order."""

    prompt: str = "prompt"
    candidates: str = "candidates"

    @property
    def columns(self) -> dict[str, str]:
        return {"choice": "int64", "logprobs": "list<double>"}

    def description(self) -> dict[str, Any]:
        return {"task": "rank", "field": self.prompt, "candidates": self.candidates}

    def results(
        self, model: LoadedModel, records: Iterable[Record], first: int
    ) -> Iterator[Result]:
        del first

        def result(record: Record) -> Result:
            prompt, candidates = _text(record, self.prompt), _texts(record, self.candidates)
            ranked = rank(model, prompt, candidates, allow_special=False)
            in_order = sorted(ranked, key=lambda each: each.index)
            return {"choice": ranked[0].index, "logprobs": [each.logprob for each in in_order]}

        return _each(result, records)


@dataclass(frozen=True)
class Embed:
    """The text in a field of each record as a vector, of length 1: "embedding". The texts are
    computed in batches."""

    text: str = "text"
    pooling: Pooling = "mean"
    layer: int = -1

    @property
    def columns(self) -> dict[str, str]:
        return {"embedding": "list<float>"}

    def description(self) -> dict[str, Any]:
        return {"task": "embed", "field": self.text, "pooling": self.pooling, "layer": self.layer}

    def results(
        self, model: LoadedModel, records: Iterable[Record], first: int
    ) -> Iterator[Result]:
        del first
        vectors_of(model, [], self.layer, self.pooling)  # wrong options are no record's fault
        empty = model.session()

        def tokens(record: Record) -> list[int] | Result:
            try:
                found = model.tokens_of(_text(record, self.text), name="text")
                empty.check(found)
            except _FAULTS as error:
                return _error(error)
            return found

        waiting = iter(records)
        while batch := [tokens(record) for record in islice(waiting, MAX_BATCH)]:
            texts = [each for each in batch if isinstance(each, list)]
            vectors = iter(vectors_of(model, texts, self.layer, self.pooling))
            for each in batch:
                yield {"embedding": next(vectors)} if isinstance(each, list) else each


def _each(result: Callable[[Record], Result], records: Iterable[Record]) -> Iterator[Result]:
    """Of one record after the other."""
    for record in records:
        try:
            made = result(record)
        except _FAULTS as error:
            made = _error(error)
        yield made


def _error(error: Exception) -> Result:
    return {"error": " ".join(str(error).splitlines())}


def _value(record: Record, name: str) -> Any:
    if isinstance(record, ValueError):
        raise record
    if name not in record:
        raise ValueError(f"the record has no field {name!r}")
    return record[name]


def _text(record: Record, name: str) -> str:
    value = _value(record, name)
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} is {value!r:.60}, expected a text")
    return value


def _texts(record: Record, name: str) -> list[str]:
    value = _value(record, name)
    is_list = isinstance(value, list) and value
    if not is_list or not all(isinstance(each, str) for each in value):
        raise ValueError(f"field {name!r} is {value!r:.60}, expected a list of texts")
    return list(value)
