"""Tiny fine-tunes that classify: the trunk of tests/data/convert with heads of tests/data/states.

tools/make_states_golden.py has drawn the heads and asked transformers what the models say.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

DATA = Path(__file__).resolve().parent / "data"
TRUNK = DATA / "convert" / "hugging_face"
GOLDEN: dict[str, Any] = json.loads((DATA / "states" / "classifiers.json").read_text())
TEXTS: list[str] = GOLDEN["texts"]
CLASSIFIERS: dict[str, Any] = GOLDEN["classifiers"]
STATES = np.load(DATA / "states" / "states.npz")


def write_checkpoint(folder: Path, name: str, **config: Any) -> Path:
    """The Hugging Face checkpoint of a classifier, with keys of its config.json changed."""
    classifier = CLASSIFIERS[name]
    shutil.copytree(TRUNK, folder)
    weights = folder / "model.safetensors"
    head = {
        f"{classifier['module']}.{part}": np.array(numbers, np.float32)
        for part, numbers in classifier["head"].items()
    }
    save_file(load_file(weights) | head, weights)
    path = folder / "config.json"
    changed = json.loads(path.read_text()) | classifier["config"] | config
    path.write_text(json.dumps(changed))
    return folder
