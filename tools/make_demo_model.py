"""Makes pygpt2edge/data/demo.gguf from its checkpoint: the smallest type that costs little.

    python tools/make_demo_model.py CHECKPOINT TEXT

CHECKPOINT is the folder of the trained model, TEXT a file it was not trained on. Converts the
checkpoint to each type, from the smallest up, and keeps the first whose perplexity on
the text stays within 3% of f32's.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from pygpt2edge import GPT2
from pygpt2edge.convert import convert
from pygpt2edge.inspect.evaluate import evaluate

TYPES = ["q4_0", "q8_0", "f16"]
LIMIT = 1.03
DATA = Path(__file__).resolve().parents[1] / "pygpt2edge" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("text", type=Path, metavar="TEXT")
    args = parser.parse_args()
    checkpoint, text = args.checkpoint, args.text.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:

        def perplexity(type: str) -> tuple[Path, float]:
            path = Path(folder) / f"demo-{type}.gguf"
            convert(checkpoint, path, type)
            return path, evaluate(GPT2(path), text).perplexity

        _, reference = perplexity("f32")
        print(f"f32   perplexity {reference:.3f}")
        for type in TYPES:
            path, found = perplexity(type)
            print(f"{type:5} perplexity {found:.3f} ({found / reference - 1:+.2%})")
            if found <= LIMIT * reference:
                DATA.mkdir(exist_ok=True)
                shutil.copy(path, DATA / "demo.gguf")
                return
    sys.exit("no type is within the limit")


if __name__ == "__main__":
    main()
