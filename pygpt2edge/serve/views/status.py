"""GET /v1/models, /health and /metrics."""

from __future__ import annotations

from typing import Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from pygpt2edge.serve.http.errors import ApiError
from pygpt2edge.serve.http.responses import json_response
from pygpt2edge.serve.service import Service, service_of


class ModelCard(msgspec.Struct, kw_only=True):
    """A model: its name, the longest context, its shape by Hugging Face's names, the bytes of its
    weights, of one text's full cache and of the workspace, and how it is run."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["pygpt2edge"] = "pygpt2edge"
    max_model_len: int
    n_vocab: int
    n_layer: int
    n_head: int
    n_embd: int
    kv_type: str
    isa: str
    n_threads: int
    memory: dict[str, int]
    has_chat_template: bool


class ModelList(msgspec.Struct, kw_only=True):
    """The one model of this server."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(msgspec.Struct):
    """Texts that are computed and that wait."""

    status: Literal["ok"]
    running: int
    waiting: int


def _card(service: Service) -> ModelCard:
    model = service.model
    return ModelCard(
        id=service.name,
        created=service.started,
        max_model_len=model.n_ctx,
        n_vocab=model.config["n_vocab"],
        n_layer=model.config["n_layer"],
        n_head=model.config["n_head"],
        n_embd=model.config["n_embd"],
        kv_type=model.kv_type,
        isa=model.isa,
        n_threads=model.n_threads,
        memory=model.memory,
        has_chat_template=service.chat_template is not None,
    )


async def answer_models(request: Request) -> Response:
    """The model, as a list of one."""
    return json_response(ModelList(data=[_card(service_of(request))]))


async def answer_model(request: Request) -> Response:
    """The model, by its name."""
    service = service_of(request)
    service.check_name(request.path_params["model"])
    return json_response(_card(service))


async def answer_health(request: Request) -> Response:
    """Whether texts can be generated. Needs no key."""
    engine = service_of(request).engine
    if not engine.is_running:
        raise ApiError(503, "the engine is not running")
    return json_response(Health("ok", engine.n_running, engine.n_waiting))


async def answer_metrics(request: Request) -> Response:
    """Numbers in Prometheus's text format."""
    return Response(
        service_of(request).metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )
