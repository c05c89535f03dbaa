"""Predicts the speed of the Arm kernels' inner loops by LLVM's models of the cores.

    python tools/model_arm_kernels.py [--mca llvm-mca-22]

Needs Debian's g++-aarch64-linux-gnu and an llvm-mca that knows neoverse-n1 (LLVM 17 or later).
Each line is one loop: the instructions and cycles of a block (16 outputs by 32 inputs, for each
row), its multiply-adds a cycle, and the bytes of weights that it takes a cycle: where that is more
than memory delivers, decoding is bound by memory.

Cortex-A76 is modelled as its server twin, the Neoverse N1, as if dispatch were not its limit (eight
micro-operations a cycle): LLVM assumes three, with which its loops take longer. Asking memory for
the weights that come next is not counted: some forty instructions where there is one row.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMPILER = [
    "aarch64-linux-gnu-g++", "-std=c++20", "-O3", "-S", "-fno-exceptions", "-fno-rtti", "-w",
    "-fno-math-errno", "-fomit-frame-pointer", "-ffp-contract=off", "-fno-schedule-insns",
    "-I", str(ROOT / "csrc"),
]  # fmt: skip

# instruction set: flags, rows of its full tile, the core and how it is modelled
CORES = {
    "neon": ([], 2, "Cortex-A72", ["-mcpu=cortex-a72"]),
    "neon_dotprod": (
        ["-march=armv8.2-a+dotprod"], 3, "Cortex-A76", ["-mcpu=neoverse-n1", "-dispatch=8"],
    ),
    "neon_i8mm": (
        ["-march=armv8.2-a+dotprod+i8mm"], 4, "Neoverse N2", ["-mcpu=neoverse-n2"],
    ),
}  # fmt: skip

# form: bytes of a block of 16 rows. For many rows the others become Int8 or one of the last four.
FORMS = {
    "Int8": 544, "Int4": 288, "Int4Super": 296, "Int6Super": 424, "Int3Super": 232,
    "Int2Super": 200, "Table4": 288, "Table4Super": 280, "Table4Halves": 384, "Int8Affine": 640,
    "Int8Float": 576, "Int8Halves": 640, "Int8AffineHalves": 768,
}  # fmt: skip
BLOCK = 16 * 32

SOURCE = """
#include "kernels/isa/{isa}.h"
#include "kernels/algorithms/matmul.inl.h"
namespace gpt2edge::kernels {{
void probe(const MatmulArgs& args, float* out) {{
  Isa::Floats sum[1][{rows}];
  IntegerTile<{form}>::accumulate<1, {rows}>(args, 0, 0, Prefetcher{{}}, sum);
  for (int t = 0; t < {rows}; ++t) Isa::store(out + 16 * t, sum[0][t]);
}}
}}
"""


def assembly(isa: str, form: str, rows: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "probe.cpp", Path(folder) / "probe.s"
        source.write_text(SOURCE.format(isa=isa, form=form, rows=rows))
        subprocess.run([*COMPILER, *CORES[isa][0], "-o", result, source], check=True)
        return result.read_text().splitlines()


def largest_loop(lines: list[str]) -> list[str]:
    """From a label to the last branch back to it."""
    labels = {line[:-1]: i for i, line in enumerate(lines) if re.match(r"\.L\w+:$", line)}
    loops = []
    for i, line in enumerate(lines):
        branch = re.match(r"\s+(?:b\.?\w*|cbn?z\s+\w+,)\s+(\.L\w+)$", line)
        if branch and labels.get(branch[1], i) < i:
            loops.append(lines[labels[branch[1]] : i + 1])
    return max(loops, key=len)


def cycles(mca: str, loop: list[str], core: list[str]) -> float:
    n = 200
    command = [mca, "-march=aarch64", "-mattr=+dotprod,+i8mm", f"-iterations={n}", *core]
    done = subprocess.run(
        command, input="\n".join(loop), capture_output=True, text=True, check=True
    )
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert found is not None, done.stderr
    return int(found[1]) / n


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mca", default="llvm-mca", help="the program  [default: llvm-mca]")
    mca = parser.parse_args().mca
    print("| core | kernels | form | rows | instructions | cycles | multiply-adds | bytes |")
    print("|---|---|---|---|---|---|---|---|")
    for isa, (_, tile, core, model) in CORES.items():
        for form, n_bytes in FORMS.items():
            for rows in (1, tile):
                loop = largest_loop(assembly(isa, form, rows))
                n_instructions = sum(line.startswith("\t") for line in loop)
                took = cycles(mca, loop, model)
                print(
                    f"| {core} | {isa} | {form} | {rows} | {n_instructions} | {took:.1f} "
                    f"| {BLOCK * rows / took:.1f} | {n_bytes / took:.1f} |"
                )


if __name__ == "__main__":
    main()
