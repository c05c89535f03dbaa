"""A fetch from a hub that is killed or finds its disk full leaves whole files only, and goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "inject_hub_faults.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_only_whole_files_have_their_names() -> None:
    pytest.importorskip("huggingface_hub")
    done = subprocess.run(
        [sys.executable, TOOL, "--every", "40"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    assert ends["killed"] > 5
    assert ends["an error"] > 5
