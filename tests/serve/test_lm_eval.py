"""lm-evaluation-harness gets of the server what it gets of its own model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "compare_lm_eval.py"
CHECKPOINT = os.environ.get("PYGPT2EDGE_LM_EVAL_CHECKPOINT")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("lm_eval") is None, reason="needs lm-eval[api,hf]")
@pytest.mark.skipif(
    CHECKPOINT is None, reason="needs PYGPT2EDGE_LM_EVAL_CHECKPOINT, a folder of Hugging Face's"
)
def test_scores_are_those_of_the_hf_model() -> None:
    text = Path(__file__).resolve().parents[2] / "docs" / "api-comparison.md"
    command = [sys.executable, str(TOOL), str(CHECKPOINT), str(text)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert set(found) == {"choices", "rolling"}
    for task in found.values():
        assert task["greatest_relative_difference"] < 1e-3
