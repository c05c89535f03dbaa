"""Commands whose system calls fail, or that are killed, leave the old file or the new one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[1] / "tools" / "inject_faults.py"


def strace_works() -> bool:
    """It is there, and the machine lets a process be traced."""
    if shutil.which("strace") is None:
        return False
    command = ["strace", "-o", "/dev/null", "-einject=chdir:error=EIO", "env", "-C", "/", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 125


@pytest.mark.skipif(not strace_works(), reason="needs strace, and a machine that allows it")
@pytest.mark.parametrize("command", ["convert", "compress", "generate", "map"])
def test_failing_calls(command: str) -> None:
    done = subprocess.run(
        [sys.executable, TOOL, "--quick", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    assert ends["an error"] > 3
    assert ends["killed, the old file"] > 2
