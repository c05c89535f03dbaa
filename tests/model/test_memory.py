"""A model that does not fit is refused before it loads, and what the refusal advises works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import _core

# Its cache outweighs everything else: 134 MB in f16, 71 MB in int8.
MODEL = TinyModel("long", n_layer=16, n_head=1, n_embd=64, n_inner=64, n_ctx=32768)
N_THREADS = 1
RESERVE = 24 << 20  # that the refusal keeps for the rest of the program

# Loads with argv[2] bytes free for data, or prints the refusal.
LOAD = """
import json, os, resource, sys
from pygpt2edge import GPT2
path, free, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
data = int(open("/proc/self/statm").read().split()[5]) * os.sysconf("SC_PAGESIZE")
resource.setrlimit(resource.RLIMIT_DATA, (data + free, data + free))
try:
    print("loaded", GPT2(path, n_threads=1, **options).memory["cache"])
except MemoryError as error:
    print(error)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = draw_weights(MODEL)
    return write_gguf(tmp_path_factory.mktemp("memory") / "long.gguf", MODEL, weights, "f16")


def load(path: Path, free: int, **options: Any) -> str:
    return run_within(LOAD, path, free, **options)


def run_within(program: str, path: Path, free: int, **options: Any) -> str:
    command = [sys.executable, "-c", program, str(path), str(free), json.dumps(options)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def needs(path: Path, kv_type: str, n_ctx: int = 0) -> int:
    """With room for the threads' stacks, which are counted before the model is loaded."""
    estimate = _core.memory_estimate(str(path), n_ctx, kv_type, N_THREADS)
    return sum(estimate.values()) + RESERVE + (20 << 20)


def test_fits(path: Path) -> None:
    assert load(path, needs(path, "f16")).startswith("loaded")


def test_int8_is_advised_where_it_is_enough(path: Path) -> None:
    free = needs(path, "int8")
    refusal = load(path, free)
    assert re.search(
        r"long\.gguf: needs \d+ MB of memory \(weights \d+, cache of 32768 tokens", refusal
    )
    assert 'it fits with --kv-type int8 (kv_type="int8")' in refusal
    assert load(path, free, kv_type="int8").startswith("loaded")


def test_a_shorter_context_is_advised_where_it_is_needed(path: Path) -> None:
    free = needs(path, "int8", 10000)
    refusal = load(path, free)
    advice = re.search(r"it fits with --kv-type int8 --n-ctx (\d+) ", refusal)
    assert advice, refusal
    n_ctx = int(advice[1])
    assert n_ctx >= 8192
    assert load(path, free, kv_type="int8", n_ctx=n_ctx).startswith("loaded")


def test_only_a_smaller_model_would_do(path: Path) -> None:
    refusal = load(path, 30 << 20)
    assert "no --n-ctx or --kv-type makes it fit" in refusal


SLIDE = LOAD.replace(
    'print("loaded", GPT2(path, n_threads=1, **options).memory["cache"])',
    """model = GPT2(path, n_threads=1, **options)
    model.stream([1], context_overflow="slide")
    print("slides")""",
)


def test_a_text_that_slides_has_room_for_its_next_context(path: Path) -> None:
    """The second context begins with half of the first: half as much memory again."""
    free = needs(path, "f16")
    cache = _core.memory_estimate(str(path), 0, "f16", N_THREADS)["cache"]
    refusal = run_within(SLIDE, path, free)
    found = re.search(r"a text that slides takes (\d+) MB .*kv_type=\"int8\"", refusal)
    assert found, refusal
    assert int(found[1]) == -(-3 * cache // 2_000_000)
    assert run_within(SLIDE, path, free + cache // 2).strip() == "slides"
    assert run_within(SLIDE, path, free, kv_type="int8").strip() == "slides"
