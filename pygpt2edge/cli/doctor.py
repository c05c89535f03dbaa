"""`pygpt2edge doctor`: this machine, and what it can run."""

from __future__ import annotations

import os
import platform
import statistics
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.memory import OFFICIAL_SHAPES, WORKING_MEMORY, official_memory
from pygpt2edge.cli.options import TYPES, ModelSource, Runtime, json_option, model_options
from pygpt2edge.cli.output import explain, print_json, print_table

if TYPE_CHECKING:
    from pygpt2edge.model import GPT2

_PACKAGES = ("numpy", "tiktoken", "gguf", "safetensors", "click", "huggingface_hub")


@click.command("doctor")
@model_options
@click.option("--quick", is_flag=True, help="Leave out what takes measuring.")
@json_option
def command(source: ModelSource, quick: bool, as_json: bool) -> None:
    """Show this machine, and what it can run.

    Prints the processor, the kernels in use, how fast it reads memory and multiplies, and the
    memory that each model needs. Also runs the demo model as a check that all is well, and exits
    with 1 if it is not. The fastest kernels that the processor has are used; GPT2EDGE_ISA=avx2,
    say, forces others. This is what to send with a report of a bug.

    With a model, also how close that model comes to what the machine can do: writing a token means
    reading every weight once, and reading a prompt means multiplying them with every token.

    \b
    Examples:
      pygpt2edge doctor
      pygpt2edge doctor -m gpt2-q8_0.gguf
      GPT2EDGE_ISA=scalar pygpt2edge doctor --quick --json
    """
    findings = _examine(quick)
    if source.model is not None and findings["limits"] is not None:
        findings["model"] = _shares(source.load(Runtime()), findings["limits"])
    if as_json:
        print_json(findings)
    else:
        _print(findings)
    if findings["error"]:
        raise click.ClickException(f"the demo model does not run: {findings['error']}")


def _examine(quick: bool) -> dict[str, Any]:
    from pygpt2edge import __version__, _core

    cpu = _core.cpu()
    demo = _demo_run()
    return {
        "cpu": cpu["name"],
        "machine": f"{platform.system()} {platform.machine()}",
        "logical_cpus": os.cpu_count(),
        "features": [name for name, present in cpu["features"].items() if present],
        "isas": cpu["isas"],
        "forced_isa": os.environ.get("GPT2EDGE_ISA") or None,
        "n_threads": cpu["n_threads"],
        "memory_bytes": _machine_memory(),
        "limits": None if quick or demo["error"] else _limits(),
        "versions": {"pygpt2edge": __version__, "python": platform.python_version()} | _versions(),
        "models": {
            name: {kind: sum(official_memory(name, kind).values()) for kind in TYPES}
            for name in OFFICIAL_SHAPES
        },
    } | demo


def _demo_run() -> dict[str, Any]:
    """The kernels that a model gets, and whether they write text."""
    from pygpt2edge.model import GPT2

    try:
        model = GPT2()
        text = model.generate("It is a truth", max_tokens=8, temperature=0).text
    except (OSError, ValueError, MemoryError) as error:
        return {"isa": None, "demo_text": None, "error": explain(error)}
    return {"isa": model.isa, "demo_text": text, "error": None}


def _limits() -> dict[str, float] | None:
    """None where there is no memory to measure with."""
    from pygpt2edge import _core

    try:
        return _core.measure_limits()
    except MemoryError:
        return None


def _shares(model: GPT2, limits: dict[str, float]) -> dict[str, Any]:
    """Tokens a second beside those that the machine's limits allow at most."""
    from pygpt2edge.inspect.benchmark import DECODE_PROMPT, benchmark

    n_prompt, n_text = min(512, model.n_ctx), min(64, model.n_ctx - DECODE_PROMPT)
    result = benchmark(model, [n_prompt], [n_text] if n_text > 0 else [])
    prefill = statistics.median(result.prefill[n_prompt])
    most_prefill = limits["int8_gmac_s"] * 1e9 / model.multiply_adds_per_token
    most_decode = limits["read_gb_s"] * 1e9 / model.bytes_per_token
    decode = statistics.median(result.decode[n_text]) if n_text > 0 else None
    return {
        "path": str(model.path),
        "bytes_per_token": model.bytes_per_token,
        "multiply_adds_per_token": model.multiply_adds_per_token,
        "prefill": {"tokens": n_prompt, "measured": prefill, "ceiling": most_prefill},
        "decode": {"tokens": n_text, "measured": decode, "ceiling": most_decode},
    }


def _machine_memory() -> int | None:
    """Bytes of memory the machine has; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _versions() -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    def installed(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    return {package: installed(package) for package in _PACKAGES}


def _print(findings: dict[str, Any]) -> None:
    memory = findings["memory_bytes"]
    versions = findings["versions"].items()
    rows = [
        ("processor", f"{findings['cpu']} ({findings['machine']})"),
        ("features", ", ".join(findings["features"]) or "none that the kernels use"),
        ("kernels in use", findings["isa"] or "none"),
        ("kernels here", ", ".join(findings["isas"])),
        ("threads", f"{findings['n_threads']} by default, of {findings['logical_cpus']} CPUs"),
        ("memory", f"{memory / 1e9:.1f} GB" if memory else "unknown"),
        ("versions", ", ".join(f"{name} {found or 'not installed'}" for name, found in versions)),
        ("demo model", "runs" if findings["error"] is None else "does not run"),
    ]
    limits = findings["limits"]
    if limits is not None:
        rows.append(("reads memory", f"{limits['read_gb_s']:,.1f} GB/s"))
        rows.append(("multiplies", f"{limits['int8_gmac_s']:,.0f} billion int8 pairs a second"))
        rows.append(("barrier", f"{limits['barrier_us']:.2f} microseconds"))
    if findings["forced_isa"]:
        rows.insert(3, ("GPT2EDGE_ISA", findings["forced_isa"]))
    print_table(rows, "<<")
    if "model" in findings:
        _print_shares(findings["model"])
    click.echo(
        f"\nMemory for weights and a cache of 1,024 tokens, in MB (and {WORKING_MEMORY}; "
        "* is more than this machine has):"
    )
    table: list[tuple[str, ...]] = [("", *TYPES)]
    for name, by_type in findings["models"].items():
        cells = (
            f"{size / 1e6:,.0f}{'*' if memory and size > memory else ' '}"
            for size in by_type.values()
        )
        table.append((name, *cells))
    print_table(table, "<" + ">" * len(TYPES))


def _print_shares(model: dict[str, Any]) -> None:
    click.echo(f"\n{model['path']}, tokens a second (noise and caches may take it past a ceiling):")
    table: list[tuple[str, ...]] = [("", "measured", "ceiling", "share", "the ceiling is")]
    ceilings = {
        "prefill": f"{model['multiply_adds_per_token'] / 1e6:,.0f} million multiply-adds a token",
        "decode": f"{model['bytes_per_token'] / 1e6:,.1f} MB of weights read a token",
    }
    for what, reason in ceilings.items():
        measured, ceiling = model[what]["measured"], model[what]["ceiling"]
        if measured is not None:
            label = f"{what} {model[what]['tokens']}"
            share = f"{measured / ceiling:.0%}"
            table.append((label, f"{measured:,.0f}", f"{ceiling:,.0f}", share, reason))
    print_table(table, "<>>><")
