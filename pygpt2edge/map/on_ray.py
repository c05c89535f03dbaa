"""A task on the nodes of a Ray cluster, by Ray Data.

The input is divided into pieces. A worker reads the records of a piece from the file, and makes
their results; Ray does a piece again whose worker died. The results arrive in the order of the
pieces, and go the way of those that one machine makes.
"""

from __future__ import annotations

import functools
import json
import logging
import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from pygpt2edge.engine.batch import MAX_BATCH
from pygpt2edge.errors import FormatError, Gpt2EdgeError, require
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.map.tables import Piece, Table, open_table
from pygpt2edge.map.tasks import Result, Task

# Records of a piece. Few are spread evenly, and little is lost with a worker; many fill batches.
_LEAST, _MOST = MAX_BATCH, 16 * MAX_BATCH
_PIECES_EACH = 4  # at least, for each worker
_MOST_PIECES = 10_000  # which Ray's scheduler can hold
_PATIENCE_S = 5.0
# What a worker can say about itself; anything else is a fault of the program.
_PROBLEMS = (Gpt2EdgeError, OSError, ValueError, MemoryError)


def results_on_ray(
    address: str, model: LoadedModel, table: Table, task: Task, first: int
) -> Iterator[Result]:
    """Of the records from number `first` on, in their order.

    Raises MissingDependencyError without ray, OSError where the cluster or one of its nodes cannot
    do it, ValueError for options that make no sense.
    """
    require("ray", "a Ray cluster")
    list(task.results(model, [], 0))  # raises for options that make no sense
    path = table.path.absolute()  # a worker runs in another folder
    table = open_table(path, path)
    with _connected(address):
        cpus, n_workers = _workers(model)
        size = _piece_size(table.count() - first, n_workers)
        pieces = [asdict(piece) for piece in table.pieces(first, size)]
        arguments = {"model": pickle.dumps(model), "table": table, "task": task,
                     "n_bytes": path.stat().st_size}  # fmt: skip
        for row in _rows(pieces, arguments, cpus):
            if row["problem"]:
                raise OSError(f"a worker of the Ray cluster failed {row['problem']}")
            yield from json.loads(row["results"])


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Within a cluster; one that the program has joined before stays joined."""
    import ray

    if ray.is_initialized():
        yield
        return
    _refuse_what_does_not_answer(address)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConnectionError(
            f"no Ray cluster at {address!r}, or none to join: {reason}"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_what_does_not_answer(address: str) -> None:
    """Ray itself would try for many minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{address!r} is no address of a Ray cluster, expected HOST:PORT or auto")
    try:
        socket.create_connection((host, int(port)), _PATIENCE_S).close()
    except OSError as error:
        raise ConnectionError(f"no Ray cluster at {address}: {error.strerror}") from error


def _workers(model: LoadedModel) -> tuple[int, int]:
    """The processors of a worker, and how many workers there may be now."""
    import ray

    nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    cpus = sorted({int(n) for n in nodes if n >= 1})
    if not cpus:
        raise ValueError("the Ray cluster has no processors: start a node with ray start --address")
    each = model.given_threads
    if each is None and len(cpus) > 1:
        raise ValueError(
            f"the nodes of the Ray cluster have from {cpus[0]} to {cpus[-1]} processors: choose "
            "how many threads a worker has (--threads, n_threads)"
        )
    each = each or cpus[0]
    if each > cpus[-1]:
        raise ValueError(
            f"{each} threads for a worker, but the nodes of the Ray cluster have at most "
            f"{cpus[-1]} processors: give fewer"
        )
    return each, sum(int(n) // each for n in nodes)


def _piece_size(n_records: int, n_workers: int) -> int:
    even = -(-n_records // (_PIECES_EACH * n_workers))
    return max(_LEAST, min(_MOST, even), -(-n_records // _MOST_PIECES))


def _rows(
    pieces: list[dict[str, int]], arguments: dict[str, Any], cpus: int
) -> Iterator[dict[str, str]]:
    """What `_done` makes of each piece, in order."""
    import ray
    import ray.data

    if not pieces:
        return
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    data = ray.data.from_items(pieces, override_num_blocks=len(pieces))
    data.context.execution_options.preserve_order = True
    data.context.enable_progress_bars = False
    try:
        yield from data.map(_done, fn_kwargs=arguments, num_cpus=cpus).iter_rows()
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise OSError(f"the Ray cluster failed: {reason}") from error


def _done(
    row: dict[str, int], model: bytes, table: Table, task: Task, n_bytes: int
) -> dict[str, str]:
    """In a worker: the results of a piece, as JSON, or what stood in the way."""
    piece = Piece(**row)
    try:
        found = table.path.stat().st_size
        if found != n_bytes:
            raise FormatError(
                f"{table.path}: has {found:,} bytes here, {n_bytes:,} where the run began"
            )
        results = list(task.results(_opened(model), table.records(piece), piece.first))
    except _PROBLEMS as error:
        problem = f"on {socket.gethostname()}: {type(error).__name__}: {error}"
        return {"results": "", "problem": problem}
    return {"results": json.dumps(results), "problem": ""}


@functools.lru_cache(maxsize=1)
def _opened(model: bytes) -> LoadedModel:
    """Kept: a worker does many pieces with its model."""
    opened: LoadedModel = pickle.loads(model)
    return opened
