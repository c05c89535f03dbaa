"""Numbers for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from pygpt2edge.engine import Engine, Request
from pygpt2edge.loaded_model import LoadedModel

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The metrics of one server."""

    def __init__(self, engine: Engine, model: LoadedModel) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "pygpt2edge_requests", "Requests by route and status.", ["route", "status"],
            registry=registry,
        )  # fmt: skip
        self._prompt_tokens = Counter(
            "pygpt2edge_prompt_tokens", "Tokens of prompts.", registry=registry
        )
        self._generated_tokens = Counter(
            "pygpt2edge_generated_tokens", "Tokens of generated texts.", registry=registry
        )
        self._texts = Counter(
            "pygpt2edge_texts", "Texts by what ended them.", ["reason"], registry=registry
        )
        self.first_token = Histogram(
            "pygpt2edge_time_to_first_token_seconds", "From a text's submission, waiting included.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._token = Histogram(
            "pygpt2edge_time_per_token_seconds", "A text's mean after its first token.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        registry.register(_Passes(engine))
        self._gauge("pygpt2edge_texts_running", "Texts computed now.", lambda: engine.n_running)
        self._gauge("pygpt2edge_texts_waiting", "Texts in the queue.", lambda: engine.n_waiting)
        self._gauge(
            "pygpt2edge_cache_bytes", "Keys and values in memory.", lambda: model.cache_bytes_used
        )
        self._gauge(
            "pygpt2edge_cache_limit_bytes", "The most they may take.", lambda: engine.cache_bytes
        )

    def _gauge(self, name: str, help: str, value: Callable[[], float]) -> None:
        Gauge(name, help, registry=self._registry).set_function(value)

    def text_ended(self, request: Request) -> None:
        """Counts a text, cut ones too."""
        completion = request.completion(logprobs=False)
        timings = completion.timings
        self._texts.labels(completion.finish_reason or "cancelled").inc()
        self._prompt_tokens.inc(len(completion.prompt_tokens))
        self._generated_tokens.inc(len(completion.tokens))
        if timings.decode_tokens:
            self._token.observe(timings.decode_s / timings.decode_tokens)

    def page(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self._registry)


class _Passes(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            "pygpt2edge_passes", "Passes over the weights, for prompts and for tokens.",
            self._engine.n_passes,
        )  # fmt: skip
