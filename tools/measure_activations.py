"""What rounding a matrix's inputs to 8 bits costs, in KL divergence from f32, as a Markdown table.

    python tools/measure_activations.py CHECKPOINT TEXT

Where weights are codes, a matrix's inputs are rounded to 8 bits as it runs. For each kind of input
two files are compared with the exact one: its matrices as q8_0, and the same numbers as f32, whose
inputs stay exact. The second has the weights' error, the first both.
"""

from __future__ import annotations

import argparse
import tempfile
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


def with_codes(exact: Path, out: Path, kind: str) -> Path:
    """The exact file, with one kind of matrix as q8_0."""
    checkpoint = open_checkpoint(exact)
    names = [spec.gguf_name for spec, _ in checkpoint.tensors]
    types = {name: "q8_0" for name in names if name.endswith(f"{kind}.weight")}
    plan = plan_conversion(checkpoint, "f32", False, types=types)
    write_head(out, plan, checkpoint.config, checkpoint.read_vocabulary(), kind, {})
    append_tensors(out, plan, None, lambda _bytes, _name: None)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--bytes", type=int, default=40_000, help="of the text")
    options = parser.parse_args()
    text = options.text.read_bytes()[: options.bytes].decode(errors="ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exact = convert(options.checkpoint, folder / "f32.gguf", "f32").out
        models = []
        for kind in INPUTS.values():
            coded = with_codes(exact, folder / f"{kind}.gguf", kind)
            plain = folder / f"{kind}-f32.gguf"
            convert(coded, plain, "f32", allow_requantize=True)
            models += [GPT2(coded, kv_type="f32"), GPT2(plain, kv_type="f32")]
        found = evaluate_several(models, text, reference=GPT2(exact))
    print("| input | KL, weights and inputs rounded | KL, weights only |\n|---|---|---|")
    for i, what in enumerate(INPUTS):
        print(f"| {what} | {found[2 * i].kl_mean:.6f} | {found[2 * i + 1].kl_mean:.6f} |")


if __name__ == "__main__":
    main()
