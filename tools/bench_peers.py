"""Times GPT-2 runtimes side by side: reading a prompt, writing, loading, memory.

    python tools/bench_peers.py TITLE RUNTIME=MODEL ... [--threads 2] [--rounds 5] [--json OUT]

RUNTIME is pygpt2edge or llama.cpp (MODEL: a GGUF file), openvino or ctranslate2 (MODEL: a folder).
"RUNTIME (anything)=MODEL" tells two models of one runtime apart; [--python RUNTIME=EXECUTABLE]
runs one in an environment of its own. Every measurement is a process of its own, one runtime after
the other, round after round, so that a slow spell of the machine hits them all. Prints a Markdown
table of the medians; OUT is added to for tools/plot_peers.py.

    python tools/bench_peers.py "124M, int8" pygpt2edge=gpt2-q8_0.gguf llama.cpp=gpt2-q8_0.gguf
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

PREFILLS, DECODE, PROMPT, REPEAT = (128, 512), 128, 16, 3


class Runtime(Protocol):
    """A loaded model. Both methods start from an empty context."""

    def prefill(self, tokens: list[int]) -> None:
        """Computes the logits that follow the last token."""

    def decode(self, tokens: list[int], n: int) -> float:
        """The seconds that n greedy tokens after these take."""


class PyGpt2Edge:
    def __init__(self, path: str, threads: int) -> None:
        from pygpt2edge import GPT2, _core

        self.session = GPT2(path, n_threads=threads).session()
        self.greedy = _core.Sampler(temperature=0)

    def prefill(self, tokens: list[int]) -> None:
        self.session.truncate(0)
        self.session.append(tokens)

    def decode(self, tokens: list[int], n: int) -> float:
        self.prefill(tokens)
        start = time.perf_counter()
        for _ in range(n):
            self.session.append([self.session.sample(self.greedy)])
        return time.perf_counter() - start


class LlamaCpp:
    def __init__(self, path: str, threads: int) -> None:
        from llama_cpp import Llama

        self.model = Llama(
            path, n_ctx=1024, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False
        )

    def prefill(self, tokens: list[int]) -> None:
        self.model.reset()
        self.model.eval(tokens)

    def decode(self, tokens: list[int], n: int) -> float:
        import llama_cpp
        import numpy as np

        n_vocab = self.model.n_vocab()
        self.prefill(tokens)
        start = time.perf_counter()
        for _ in range(n):
            logits = llama_cpp.llama_get_logits_ith(self.model.ctx, -1)
            self.model.eval([int(np.ctypeslib.as_array(logits, (n_vocab,)).argmax())])
        return time.perf_counter() - start


class OpenVino:
    def __init__(self, path: str, threads: int) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(Path(path) / "openvino_model.xml")
        self._keep_last_position(model)
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        self.request = core.compile_model(model, "CPU", options).create_infer_request()
        self.inputs = {name for given in model.inputs for name in given.get_names()}

    @staticmethod
    def _keep_last_position(model: object) -> None:
        """Runs the head for the last position alone, as the others do."""
        import openvino.opset13 as ops

        head = model.output(0).get_node()  # type: ignore[attr-defined]
        while head.get_type_name() != "MatMul":
            head = head.input_value(0).get_node()
        last = ops.slice(head.input_value(0), [-1], [2**62], [1], [1])
        head.input(0).replace_source_output(last.output(0))
        model.validate_nodes_and_infer_types()  # type: ignore[attr-defined]

    def _next(self, tokens: list[int], past: int) -> int:
        import numpy as np

        end = past + len(tokens)
        values = {
            "input_ids": np.array([tokens]),
            "attention_mask": np.ones((1, end), np.int64),
            "position_ids": np.arange(past, end)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        given = {name: value for name, value in values.items() if name in self.inputs}
        return int(self.request.infer(given)[0][0, -1].argmax())

    def prefill(self, tokens: list[int]) -> None:
        self.request.reset_state()
        self._next(tokens, 0)

    def decode(self, tokens: list[int], n: int) -> float:
        self.request.reset_state()
        token = self._next(tokens, 0)
        start = time.perf_counter()
        for i in range(n):
            token = self._next([token], len(tokens) + i)
        return time.perf_counter() - start


class CTranslate2:
    def __init__(self, path: str, threads: int) -> None:
        import ctranslate2

        self.words = json.loads((Path(path) / "vocabulary.json").read_text())
        self.generator = ctranslate2.Generator(
            path, compute_type="int8", inter_threads=1, intra_threads=threads
        )

    def _generate(self, tokens: list[int], n: int) -> float:
        words = [self.words[token] for token in tokens]
        start = time.perf_counter()
        self.generator.generate_batch(
            [words], min_length=n, max_length=n, sampling_topk=1, include_prompt_in_result=False
        )
        return time.perf_counter() - start

    def prefill(self, tokens: list[int]) -> None:
        self._generate(tokens, 1)

    def decode(self, tokens: list[int], n: int) -> float:
        return self._generate(tokens, n + 1) - self._generate(tokens, 1)


RUNTIMES = {
    "pygpt2edge": PyGpt2Edge,
    "llama.cpp": LlamaCpp,
    "openvino": OpenVino,
    "ctranslate2": CTranslate2,
}


def draw(n: int) -> list[int]:
    return [random.randrange(1000, 20000) for _ in range(n)]


def measure(runtime: str, path: str, threads: int) -> dict[str, float]:
    """One process's figures."""
    start = time.perf_counter()
    model: Runtime = RUNTIMES[runtime](path, threads)
    figures = {"load, s": time.perf_counter() - start}
    for n in PREFILLS:
        model.prefill(draw(n))
        times = []
        for _ in range(REPEAT):
            tokens = draw(n)
            start = time.perf_counter()
            model.prefill(tokens)
            times.append(time.perf_counter() - start)
        figures[f"prefill {n}"] = n / statistics.median(times)
    model.decode(draw(PROMPT), 8)
    figures[f"decode {DECODE}"] = DECODE / model.decode(draw(PROMPT), DECODE)
    figures["memory, MB"] = peak_memory_mb()
    return figures


def peak_memory_mb() -> float:
    # Not getrusage's, which counts what the parent held when it made this process.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("/proc/self/status has no VmHWM")


def compare(contenders: dict[str, list[str]], rounds: int) -> dict[str, dict[str, float]]:
    """The median figures by contender; each is a command that prints its own."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for i in range(rounds):
        for name, command in contenders.items():
            print(f"round {i + 1} of {rounds}: {name}", file=sys.stderr)
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for name, found in runs.items()
    }


def table(results: dict[str, dict[str, float]]) -> str:
    columns = [*(f"prefill {n}" for n in PREFILLS), f"decode {DECODE}", "load, s", "memory, MB"]
    formats = [",.0f", ",.0f", ",.1f", ".2f", ",.0f"]
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, figures in results.items():
        cells = (format(figures[column], f) for column, f in zip(columns, formats, strict=True))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def pairs(items: list[str]) -> dict[str, str]:
    """["a=b"] -> {"a": "b"}"""
    return dict(item.split("=", 1) for item in items)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("title")
    parser.add_argument("contenders", nargs="+", metavar="RUNTIME=MODEL")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", action="append", default=[], metavar="RUNTIME=EXECUTABLE")
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)  # one, in here
    args = parser.parse_args()
    contenders = pairs(args.contenders)
    unknown = {name.split()[0] for name in contenders} - RUNTIMES.keys()
    if unknown:
        parser.error(f"no runtime {', '.join(sorted(unknown))}: there are {', '.join(RUNTIMES)}")

    if args.measure:
        ((runtime, path),) = contenders.items()
        print(json.dumps(measure(runtime, path, args.threads)))
        return
    pythons = pairs(args.python)
    commands = {}
    for name, path in contenders.items():
        runtime = name.split()[0]
        commands[name] = [
            *(pythons.get(runtime, sys.executable), __file__, "--measure"),
            *("--threads", str(args.threads), "-", f"{runtime}={path}"),
        ]
    results = compare(commands, args.rounds)
    print(f"{args.title}, {args.threads} threads, medians of {args.rounds} rounds\n")
    print(table(results))
    if args.json:
        known = json.loads(args.json.read_text()) if args.json.exists() else {}
        drawn = (*(f"prefill {n}" for n in PREFILLS), f"decode {DECODE}")
        known[args.title] = {
            name: {key: figures[key] for key in drawn} for name, figures in results.items()
        }
        args.json.write_text(json.dumps(known, indent=1))


if __name__ == "__main__":
    main()
