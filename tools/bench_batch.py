"""Times GPT-2 runtimes writing many texts at once: tokens a second for 1, 2, 4, 8 and 16 of them.

    python tools/bench_batch.py RUNTIME=MODEL ... [--python RUNTIME=EXECUTABLE] [--rounds 5]

RUNTIME is pygpt2edge or llama.cpp (MODEL: a GGUF file) or ctranslate2 (MODEL: a folder). Each has
prompts of 16 tokens, no two alike, and continues every one by 64 tokens, the likeliest ones; the
prompts' time counts. Every measurement is a process of its own, one runtime after the other, round
after round. Prints a Markdown table of the medians.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SIZES, PROMPT, N_TOKENS = (1, 2, 4, 8, 16), 16, 64
Prompts = list[list[int]]


def pygpt2edge(path: str, threads: int) -> Callable[[Prompts], object]:
    from pygpt2edge import GPT2, Engine

    engine = Engine(GPT2(path, n_threads=threads, kv_type="int8"), max_batch=max(SIZES))

    def write(prompts: Prompts) -> None:
        requests = [
            engine.submit(prompt, max_tokens=N_TOKENS, temperature=0, ignore_eos=True)
            for prompt in prompts
        ]
        for request in requests:
            request.result()

    return write


def ctranslate2(path: str, threads: int) -> Callable[[Prompts], object]:
    import ctranslate2 as ct2

    generator = ct2.Generator(path, device="cpu", compute_type="int8", intra_threads=threads)
    vocabulary = json.loads(Path(path, "vocabulary.json").read_text(encoding="utf-8"))
    return lambda prompts: generator.generate_batch(
        [[vocabulary[token] for token in prompt] for prompt in prompts],
        max_length=N_TOKENS, min_length=N_TOKENS, beam_size=1, include_prompt_in_result=False,
    )  # fmt: skip


def llama_cpp(path: str, threads: int) -> Callable[[Prompts], object]:
    import llama_cpp as api
    import numpy as np

    llama = api.Llama(path, verbose=False)
    params = api.llama_context_default_params()
    params.n_ctx, params.n_seq_max = 16 * 128, 16
    params.n_batch = params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = threads
    context = api.llama_init_from_model(llama.model, params)

    def decode(rows: list[tuple[int, int, int, bool]]) -> list[int]:
        """(token, position, sequence, whether its logits are wanted) -> the likeliest tokens."""
        batch = api.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, wanted
        assert api.llama_decode(context, batch) == 0
        api.llama_batch_free(batch)
        wanted_rows = [i for i, row in enumerate(rows) if row[3]]
        logits = [api.llama_get_logits_ith(context, i) for i in wanted_rows]
        return [int(np.ctypeslib.as_array(row, (llama.n_vocab(),)).argmax()) for row in logits]

    def write(prompts: Prompts) -> None:
        api.llama_memory_clear(api.llama_get_memory(context), True)
        tokens = decode(
            [
                (token, position, sequence, position == PROMPT - 1)
                for sequence, prompt in enumerate(prompts)
                for position, token in enumerate(prompt)
            ]
        )
        for position in range(PROMPT, PROMPT + N_TOKENS - 1):
            tokens = decode([(t, position, sequence, True) for sequence, t in enumerate(tokens)])

    return write


RUNTIMES = {"pygpt2edge": pygpt2edge, "ctranslate2": ctranslate2, "llama.cpp": llama_cpp}


def measure(runtime: str, model: str, threads: int) -> dict[int, float]:
    write = RUNTIMES[runtime](model, threads)
    draw = random.Random(1)
    speeds = {}
    for size in SIZES:
        times = []
        for _ in range(3):
            prompts = [[draw.randrange(50_000) for _ in range(PROMPT)] for _ in range(size)]
            start = time.perf_counter()
            write(prompts)
            times.append(time.perf_counter() - start)
        speeds[size] = size * N_TOKENS / statistics.median(times)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="RUNTIME=MODEL")
    parser.add_argument("--python", action="append", default=[], metavar="RUNTIME=EXECUTABLE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    models = dict(model.split("=", 1) for model in options.models)
    if options.child:
        ((runtime, model),) = models.items()
        print(json.dumps(measure(runtime, model, options.threads)))
        return
    pythons = dict(python.split("=", 1) for python in options.python)
    found: dict[str, dict[str, list[float]]] = {runtime: {} for runtime in models}
    for _ in range(options.rounds):
        for runtime, model in models.items():
            command = [pythons.get(runtime, sys.executable), __file__, f"{runtime}={model}"]
            command += ["--child", "--threads", str(options.threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            for size, speed in json.loads(done.stdout.splitlines()[-1]).items():
                found[runtime].setdefault(size, []).append(speed)
    print("| texts at once | " + " | ".join(map(str, SIZES)) + " |")
    print("|---" * (1 + len(SIZES)) + "|")
    for runtime, speeds in found.items():
        medians = [statistics.median(speeds[str(size)]) for size in SIZES]
        print(f"| {runtime} | " + " | ".join(f"{speed:,.0f}" for speed in medians) + " |")


if __name__ == "__main__":
    main()
