"""What rounding a matrix's inputs to 8 bits costs, in KL divergence from f32, as Markdown tables.

    python tools/measure_activations.py CHECKPOINT TEXT

Where weights are codes, a matrix's inputs are rounded to 8 bits as it runs. For each kind of input
two files are compared with the exact one: its matrices as q8_0, and the same numbers as f32, whose
inputs stay exact. The second has the weights' error, the first both. Another table has what a whole
q8_0 file costs, and what is left of that when the inputs of some of its matrices stay exact.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pygpt2edge import GPT2
from pygpt2edge.convert import convert
from pygpt2edge.convert.gguf_writer import append_tensors, write_head
from pygpt2edge.convert.opening import open_checkpoint
from pygpt2edge.convert.plan import plan_conversion
from pygpt2edge.inspect.evaluate import evaluate_several

# What goes into which matrix.
INPUTS = {
    "first norm of a layer": "attn_qkv",
    "attention's output": "attn_output",
    "second norm of a layer": "ffn_up",
    "GELU's output": "ffn_down",
    "final norm": "token_embd",
}
# The matrices whose inputs stay exact, by patterns of their names.
KEPT = {
    "none": "^$",
    "`attn_qkv` of the first layer": r"blk\.0\.attn_qkv",
    "`attn_qkv` and `attn_output` of the first layer": r"blk\.0\.attn",
    "the first layer": r"blk\.0\.",
    "`attn_qkv` of all layers": "attn_qkv",
    "the head": "token_embd",
    "all": "",
}


def with_codes(source: Path, out: Path, coded: str) -> Path:
    """The file, with the matrices of this pattern as q8_0 and the others as f32. Of a q8_0 file all
    keep their numbers."""
    checkpoint = open_checkpoint(source)
    matrices = [spec.gguf_name for spec, _ in checkpoint.tensors if spec.is_quantized]
    types = {name: "q8_0" if re.search(coded, name) else "f32" for name in matrices}
    plan = plan_conversion(checkpoint, "f32", True, types=types)
    write_head(out, plan, checkpoint.config, checkpoint.read_vocabulary(), out.stem, {})
    append_tensors(out, plan, None, lambda _bytes, _name: None)
    return out


def files_of_inputs(exact: Path, folder: Path) -> Iterator[Path]:
    """For each kind of input, two files."""
    for kind in INPUTS.values():
        coded = with_codes(exact, folder / f"{kind}.gguf", kind)
        yield coded
        yield convert(coded, folder / f"{kind}-f32.gguf", "f32", allow_requantize=True).out


def files_of_kept(exact: Path, folder: Path) -> Iterator[Path]:
    coded = convert(exact, folder / "q8_0.gguf", "q8_0").out
    for i, pattern in enumerate(KEPT.values()):
        yield with_codes(coded, folder / f"kept-{i}.gguf", f"^(?!.*{pattern})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--windows", type=int, help="spread over the text; default all of it")
    options = parser.parse_args()
    text = options.text.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exact = convert(options.checkpoint, folder / "f32.gguf", "f32").out
        paths = [*files_of_inputs(exact, folder), *files_of_kept(exact, folder)]
        models = [GPT2(path, kv_type="f32") for path in paths]
        found = evaluate_several(models, text, reference=GPT2(exact), max_windows=options.windows)
    print("| input | KL, weights and inputs rounded | KL, weights only |\n|---|---|---|")
    for i, what in enumerate(INPUTS):
        print(f"| {what} | {found[2 * i].kl_mean:.6f} | {found[2 * i + 1].kl_mean:.6f} |")
    print("\n| inputs that stay exact | KL |\n|---|---|")
    for what, each in zip(KEPT, found[2 * len(INPUTS) :], strict=True):
        print(f"| {what} | {each.kl_mean:.6f} |")


if __name__ == "__main__":
    main()
