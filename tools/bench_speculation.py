"""Measures what speculative decoding gains: tokens a pass and the speed beside plain decoding.

    python tools/bench_speculation.py MODEL [--draft-model FILE ...] [--layers N ...] [--text FILE]

The draft models are files, or the model's own first N layers. Prompts are the beginnings of
paragraphs of --text; "repetitive" ones are lists whose pattern goes on, and "copying" ones repeat a
paragraph that the prompt has already. Each is continued by 128 tokens, greedily and at temperature
0.8, by turns with and without drafts, round after round; every text is checked to be the plain one.
Prints a Markdown table: tokens a pass, the share of draft tokens that were accepted, and the
medians of the speeds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import gguf

from pygpt2edge import GPT2, Completion

LIST = "".join(f"{i}. The number {i} comes before the number {i + 1}.\n" for i in range(1, 9))


def first_layers(path: Path, n_layer: int, folder: Path) -> Path:
    """The same model, cut off after some of its layers."""
    out = folder / f"{path.stem}, {n_layer} layers.gguf"
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(out, "gpt2")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = n_layer if name == "gpt2.block_count" else field.contents()
        kind = field.types[0]
        sub_type = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, kind, sub_type)
    for tensor in reader.tensors:
        if tensor.name.startswith("blk.") and int(tensor.name.split(".")[1]) >= n_layer:
            continue
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def prompts_of(path: Path | None) -> dict[str, list[str]]:
    paragraphs = ["It is a truth universally acknowledged, that a single man", "And God said,"]
    if path is not None:
        text = path.read_text(encoding="utf-8")
        long = [p.strip() for p in text.split("\n\n") if 300 < len(p) < 900]
        paragraphs = long[:: max(1, len(long) // 4)][:4]
    return {
        "prose": [p[:200] for p in paragraphs],
        "repetitive": [LIST, "one two three four " * 8],
        "copying": [f"{p[:600]}\n\n{p[:60]}" for p in paragraphs],
    }


def speed(completion: Completion) -> float:
    return completion.timings.decode_tokens_per_s


def measure(model: GPT2, prompts: list[str], rounds: int, options: dict[str, Any]) -> list[str]:
    temperature = options.pop("temperature")
    common = {"max_tokens": 128, "temperature": temperature, "ignore_eos": True, "seed": 1}
    ratios, tokens, passes, drafted, accepted = [], 0, 0, 0, 0
    for _ in range(rounds):
        for prompt in prompts:
            plain = model.generate(prompt, **common)
            found = model.generate(prompt, **common, **options)
            if found.tokens != plain.tokens:
                raise SystemExit(f"the text differs: {prompt!r}, {options}")
            ratios.append(speed(found) / speed(plain))
            took = found.timings
            tokens, passes = tokens + took.decode_tokens, passes + took.decode_passes
            drafted, accepted = drafted + took.draft_tokens, accepted + took.accepted_tokens
    share = f"{accepted / drafted:.0%}" if drafted else "-"
    return [f"{tokens / passes:.2f}", share, f"{statistics.median(ratios):.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--draft-model", type=Path, action="append", default=[])
    parser.add_argument("--layers", type=int, action="append", default=[])
    parser.add_argument("--text", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    model = GPT2(options.model, n_threads=options.threads)
    prompts = prompts_of(options.text)
    print("| drafts by | text | temperature | tokens a pass | accepted | speed |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        made = [first_layers(options.model, n, Path(folder)) for n in options.layers]
        drafters: dict[str, dict[str, Any]] = {"the text itself": {"prompt_lookup": True}}
        for path in (*options.draft_model, *made):
            drafters[path.stem] = {"draft_model": GPT2(path, n_threads=options.threads)}
        for name, how in drafters.items():
            for kind, some in prompts.items():
                for temperature in (0, 0.8):
                    row = measure(model, some, options.rounds, how | {"temperature": temperature})
                    print("|", " | ".join([name, kind, str(temperature), *row]), "|", flush=True)


if __name__ == "__main__":
    main()
