"""Compares log-probabilities of this package and of transformers in float32 with transformers' in
float64, on windows of one context.

    python tools/compare_precision.py CHECKPOINT TEXT [--windows 6] [--python PYTHON]

CHECKPOINT is a folder of Hugging Face's, TEXT a UTF-8 file. torch and transformers are those of
--python. Prints one JSON object: for each side, how far the sums over a window are from those of
float64, and the root mean square of the tokens' errors.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pygpt2edge import GPT2
from pygpt2edge.convert import convert

THEIRS = """\
import json, sys, torch
from transformers import GPT2LMHeadModel
torch.set_grad_enabled(False)
windows = json.load(sys.stdin)
out = {}
for name in ("float32", "float64"):
    model = GPT2LMHeadModel.from_pretrained(sys.argv[1], dtype=getattr(torch, name)).eval()
    out[name] = []
    for window in windows:
        ids = torch.tensor([window])
        rows = torch.log_softmax(model(ids).logits[0, :-1], -1)
        out[name].append(rows.gather(1, ids[0, 1:, None])[:, 0].double().tolist())
print(json.dumps(out))
"""
Windows = Sequence[Sequence[float]]


def ours(checkpoint: Path, text: str, n_windows: int) -> tuple[list[list[int]], Windows]:
    """The windows' tokens, and the log-probability of each token but the first."""
    with tempfile.TemporaryDirectory() as folder:
        model = GPT2(convert(checkpoint, Path(folder) / "model.gguf", "f32").out)
    size = model.n_ctx - 1
    tokens = model.tokenizer.encode(text)[: n_windows * size]
    parts = [tokens[i : i + size] for i in range(0, len(tokens), size)]
    scores = [[float(x) for x in model.score(part)] for part in parts]
    return [[model.start_token, *part] for part in parts], scores


def errors(found: Windows, exact: Windows) -> dict[str, float]:
    pairs = list(zip(found, exact, strict=True))
    of_tokens = [a - b for x, y in pairs for a, b in zip(x, y, strict=True)]
    of_sums = [abs(math.fsum(x) - math.fsum(y)) for x, y in pairs]
    return {
        "greatest_of_a_sum": max(of_sums),
        "mean_of_sums": math.fsum(of_sums) / len(of_sums),
        "rms_of_tokens": math.sqrt(math.fsum(e * e for e in of_tokens) / len(of_tokens)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--python", default=sys.executable)
    args = parser.parse_args()
    windows, found = ours(args.checkpoint, args.text.read_text(encoding="utf-8"), args.windows)
    command = [args.python, "-c", THEIRS, str(args.checkpoint)]
    done = subprocess.run(
        command, input=json.dumps(windows), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    theirs = json.loads(done.stdout)
    result = {
        "pygpt2edge": errors(found, theirs["float64"]),
        "transformers in float32": errors(theirs["float32"], theirs["float64"]),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
