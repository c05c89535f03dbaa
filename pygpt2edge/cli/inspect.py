"""`pygpt2edge inspect`: what a model file or a checkpoint holds, and the memory it will take."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.memory import WORKING_MEMORY, checkpoint_memory, default_kv_type
from pygpt2edge.cli.options import TYPES, ctx_size_option, json_option, kv_type_option
from pygpt2edge.cli.output import megabytes, memory_line, plural, print_json, print_table, warn

if TYPE_CHECKING:
    from pygpt2edge.convert import CheckpointInfo


@click.command("inspect")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--tensors", is_flag=True, help="List every tensor.")
@ctx_size_option
@kv_type_option
@json_option
def command(path: Path, tensors: bool, ctx_size: int, kv_type: str | None, as_json: bool) -> None:
    """Show what a model file or a checkpoint holds.

    PATH is a GGUF file, or the folder of a checkpoint. Prints the architecture, the parameters, the
    types and sizes of the tensors, and the memory that the model will take; of a checkpoint, for
    every type it can be converted to. Only headers are read.

    \b
    Examples:
      pygpt2edge inspect gpt2-q8_0.gguf
      pygpt2edge inspect gpt2-q8_0.gguf --tensors
      pygpt2edge inspect models/1558M -c 256
    """
    from pygpt2edge.convert import inspect_checkpoint

    info = inspect_checkpoint(path)
    if ctx_size > info.config.n_ctx:
        raise click.UsageError(
            f"--ctx-size is {ctx_size}, but the model has positions for {info.config.n_ctx}"
        )
    described = _describe(info, ctx_size, kv_type)
    if as_json:
        print_json(described)
        return
    _print_summary(info, described)
    if tensors:
        click.echo()
        rows = [("tensor", "type", "shape", "bytes")]
        rows += [
            (t.name, t.dtype, " x ".join(map(str, t.shape)), f"{t.n_bytes:,}") for t in info.tensors
        ]
        print_table(rows, "<<>>")
    for warning in info.warnings:
        warn(warning)


def _describe(info: CheckpointInfo, ctx_size: int, kv_type: str | None) -> dict[str, Any]:
    """All that is printed, as JSON has it. Sizes are in bytes."""
    by_type: dict[str, dict[str, int]] = defaultdict(lambda: {"tensors": 0, "bytes": 0})
    for tensor in info.tensors:
        by_type[tensor.dtype]["tensors"] += 1
        by_type[tensor.dtype]["bytes"] += tensor.n_bytes
    is_gguf = info.kind == "GGUF"
    return {
        "path": str(info.path),
        "kind": info.kind,
        "architecture": info.architecture,
        "config": asdict(info.config),
        "n_params": info.n_params,
        "tensor_bytes": info.n_bytes,
        # A checkpoint's folder may hold masks and other heads, which are no weights of the model.
        "bits_per_weight": 8 * info.n_bytes / info.n_params if is_gguf else None,
        "types": dict(by_type),
        "n_ctx": ctx_size or info.config.n_ctx,
        "metadata": _metadata(info.path) if is_gguf else {},
        "memory": _memory(info, ctx_size, kv_type) if is_gguf else None,
        "memory_by_type": None
        if is_gguf
        else {kind: checkpoint_memory(info.path, kind, ctx_size, kv_type) for kind in TYPES},
        "tensors": [asdict(tensor) for tensor in info.tensors],
        "warnings": info.warnings,
    }


def _metadata(path: Path) -> dict[str, Any]:
    from pygpt2edge import _core

    # Infinities, which JSON lacks, are shown as Python writes them.
    return {
        key: value if isinstance(value, str | int) else repr(value)
        for key, value in _core.GgufFile(str(path)).metadata.items()
    }


def _memory(info: CheckpointInfo, ctx_size: int, kv_type: str | None) -> dict[str, int]:
    from pygpt2edge import _core

    kv_type = kv_type or default_kv_type({tensor.dtype for tensor in info.tensors})
    return _core.memory_estimate(str(info.path), ctx_size, kv_type)


def _print_summary(info: CheckpointInfo, described: dict[str, Any]) -> None:
    config = info.config
    types = sorted(described["types"].items(), key=lambda item: -item[1]["bytes"])
    counts = ", ".join(f"{n['tensors']} {kind} ({megabytes(n['bytes'])})" for kind, n in types)
    bits = described["bits_per_weight"]
    rows = [
        ("file", f"{info.path} ({info.kind})"),
        ("model", f"{info.architecture}: {plural(config.n_layer, 'layer')}, "
                  f"{plural(config.n_head, 'head')}, width {config.n_embd}, MLP {config.n_inner}, "
                  f"{config.activation_function}"),
        ("context", f"{config.n_ctx:,} tokens"),
        ("vocabulary", f"{config.n_vocab:,} tokens"),
        ("parameters", f"{info.n_params:,}"),
        ("tensors", f"{len(info.tensors)}: {counts}"),
        ("size", megabytes(info.n_bytes) + (f", {bits:.2f} bits per weight" if bits else "")),
    ]  # fmt: skip
    if name := described["metadata"].get("general.name"):
        rows.insert(1, ("name", name))
    if described["memory"]:
        rows.append(("memory", memory_line(described["memory"])))
    print_table(rows, "<<")
    if described["memory_by_type"]:
        _print_memory_by_type(described)


def _print_memory_by_type(described: dict[str, Any]) -> None:
    click.echo(
        f"\nMemory after converting, with {described['n_ctx']:,} tokens of context "
        f"(and {WORKING_MEMORY}):"
    )
    rows = [("type", "weights", "cache", "together")]
    for kind, memory in described["memory_by_type"].items():
        sizes = (memory["weights"], memory["cache"], sum(memory.values()))
        rows.append((kind, *map(megabytes, sizes)))
    print_table(rows, "<>>>")
