"""Continuous batching: many texts at once."""

from pygpt2edge.engine.engine import Engine
from pygpt2edge.engine.request import QueueFullError, Request

__all__ = ["Engine", "QueueFullError", "Request"]
