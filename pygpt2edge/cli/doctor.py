"""`pygpt2edge doctor`: this machine, and what it can run."""

from __future__ import annotations

import os
import platform
from typing import Any

import click

from pygpt2edge.cli.memory import OFFICIAL_SHAPES, WORKING_MEMORY, official_memory
from pygpt2edge.cli.options import TYPES, json_option
from pygpt2edge.cli.output import explain, print_json, print_table

_PACKAGES = ("numpy", "tiktoken", "gguf", "safetensors", "click", "huggingface_hub")


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show this machine, and what it can run.

    Prints the processor, the kernels in use and the memory that each model needs. Also runs the
    demo model as a check that all is well, and exits with 1 if it is not. The fastest kernels that
    the processor has are used; GPT2EDGE_ISA=avx2, say, forces others. This is what to send with a
    report of a bug.

    \b
    Examples:
      pygpt2edge doctor
      GPT2EDGE_ISA=scalar pygpt2edge doctor --json
    """
    findings = _examine()
    if as_json:
        print_json(findings)
    else:
        _print(findings)
    if findings["error"]:
        raise click.ClickException(f"the demo model does not run: {findings['error']}")


def _examine() -> dict[str, Any]:
    from pygpt2edge import __version__, _core

    cpu = _core.cpu()
    return {
        "cpu": cpu["name"],
        "machine": f"{platform.system()} {platform.machine()}",
        "logical_cpus": os.cpu_count(),
        "features": [name for name, present in cpu["features"].items() if present],
        "isas": cpu["isas"],
        "forced_isa": os.environ.get("GPT2EDGE_ISA") or None,
        "n_threads": cpu["n_threads"],
        "memory_bytes": _machine_memory(),
        "versions": {"pygpt2edge": __version__, "python": platform.python_version()} | _versions(),
        "models": {
            name: {kind: sum(official_memory(name, kind).values()) for kind in TYPES}
            for name in OFFICIAL_SHAPES
        },
    } | _demo_run()


def _demo_run() -> dict[str, Any]:
    """The kernels that a model gets, and whether they write text."""
    from pygpt2edge import GPT2

    try:
        model = GPT2()
        text = model.generate("It is a truth", max_tokens=8, temperature=0).text
    except (OSError, ValueError, MemoryError) as error:
        return {"isa": None, "demo_text": None, "error": explain(error)}
    return {"isa": model.isa, "demo_text": text, "error": None}


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
    if findings["forced_isa"]:
        rows.insert(3, ("GPT2EDGE_ISA", findings["forced_isa"]))
    print_table(rows, "<<")
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
