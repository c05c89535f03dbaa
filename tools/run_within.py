"""Runs a command within so much memory, as on a small machine, and says how much it took.

    python tools/run_within.py 1.2G pygpt2edge generate -m gpt2-xl-q4_0.gguf --kv-type int8 "Hello"
    python tools/run_within.py 1G pygpt2edge convert gpt2-xl/ gpt2-xl-q4_0.gguf --type q4_0

Needs root on Linux. The limit is a control group's (version 2, or the memory controller of version
1) and counts swap too; pages of files count, and are given back before the limit is hit. Exits as
the command does.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


def parse_bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)", text)
    if found is None:
        sys.exit(f"{text} is not a size such as 900M or 1.2G")
    return int(float(found[1]) * UNITS[found[2]])


def limit_group(group: Path, limit: int) -> Path:
    """Sets the limit; returns the file that will tell the peak."""
    if group.parent == V1:
        (group / "memory.limit_in_bytes").write_text(str(limit))
        with_swap = group / "memory.memsw.limit_in_bytes"
        if with_swap.exists():
            with_swap.write_text(str(limit))
        return group / "memory.max_usage_in_bytes"
    (group / "memory.max").write_text(str(limit))
    if (group / "memory.swap.max").exists():
        (group / "memory.swap.max").write_text("0")
    return group / "memory.peak"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("limit", type=parse_bytes, metavar="LIMIT")
    parser.add_argument("program", metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...")
    args = parser.parse_args()
    limit, command = args.limit, [args.program, *args.arguments]
    group = (V1 if V1.is_dir() else V2) / f"pygpt2edge-{os.getpid()}"
    try:
        group.mkdir()
        peak = limit_group(group, limit)
        # A shell joins the group and then becomes the command.
        join = f'echo $$ > "{group}/cgroup.procs" && exec "$@"'
        status = subprocess.run(["sh", "-c", join, "sh", *command], check=False).returncode
        took = int(peak.read_text())
        summary = f"exit status {status}, peak {took / 1e6:,.0f} of {limit / 1e6:,.0f} MB"
        print(summary, file=sys.stderr)
        sys.exit(status)
    except OSError as error:
        sys.exit(f"cannot make a control group: {error}")
    finally:
        if group.exists():
            group.rmdir()


if __name__ == "__main__":
    main()
