"""Runs the commands that README.md prints, as printed, in a fresh clone of this checkout.

    python tools/run_readme_commands.py CLONE HEADING...

Under each heading, the first console block. CLONE is the folder to clone what is committed into.
Each block begins with what is committed alone; only what was compiled stays, to save time. Each
command has a shell of its own; the first that fails ends the run, with its status.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))


def first_block(text: str, heading: str) -> list[str]:
    """The commands of the first console block between a heading and the next one."""
    from documents import console_blocks

    code = re.compile(r"^```.*?^```$", re.M | re.S)
    # A "#" in a block is a comment or root's prompt.
    outside = code.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)
    found = re.search(rf"^#+ {re.escape(heading)}$", outside, re.M)
    if found is None:
        sys.exit(f"README.md has no heading {heading!r}")
    following = re.compile(r"^#+ ", re.M).search(outside, found.end())
    section = text[found.end() : following.start() if following else len(text)]
    blocks = list(console_blocks(section))
    if not blocks:
        sys.exit(f"README.md has no console block under {heading!r}")
    return blocks[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clone", type=Path, metavar="CLONE")
    parser.add_argument("headings", nargs="+", metavar="HEADING")
    args = parser.parse_args()
    subprocess.run(["git", "clone", "--quiet", ROOT, args.clone], check=True)
    text = (args.clone / "README.md").read_text(encoding="utf-8")
    for heading in args.headings:
        clean = ["git", "clean", "--quiet", "-xdf", "--exclude=build"]
        subprocess.run(clean, cwd=args.clone, check=True)
        for command in first_block(text, heading):
            print(f"$ {command}", flush=True)
            done = subprocess.run(["bash", "-c", command], cwd=args.clone, check=False)
            if done.returncode != 0:
                sys.exit(done.returncode)


if __name__ == "__main__":
    main()
