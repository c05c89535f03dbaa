"""The folder in which the tests run the examples of the documents: what they read lies there, and
what is not at hand has a stand-in."""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from classifier_models import write_checkpoint
from documents import ROOT

DEMO = ROOT / "pygpt2edge" / "data" / "demo.gguf"
MODELS = ["gpt2", "gpt2-f32", "gpt2-q4_0", "gpt2-q8_0", "gpt2-xl"]
TEXTS = [
    "book.txt",
    "letter.txt",
    "minutes.txt",
    "novel.txt",
    "prompt.txt",
    "reviews.txt",
    "sentences.txt",
    "story.txt",
    "wiki.txt",
]
TIMES = "It was the best of times, it was the worst of times.\n"

# What a command names -> what it is run with: a model at hand for one of a hub, few tokens where a
# text has no end.
IN_COMMANDS = {
    "openai-community/gpt2-xl": "gpt2-f32.gguf",
    "openai-community/gpt2": "gpt2-f32.gguf",
    "uer/gpt2-chinese-cluecorpussmall": "gpt2-f32.gguf",
    "CHECKPOINT": "gpt2-f32.gguf",
    "--endless": "--endless -n 40",
    "pygpt2edge convert": "pygpt2edge convert --force --allow-requantize",
    "pygpt2edge compress": "pygpt2edge compress --force",
    "pygpt2edge decompress": "pygpt2edge decompress --force",
    "1558M -c 256": "1558M -c 16",
    "--head 11": "--head 1",
    "--bits 4.5": "--bits 9",  # rows of that checkpoint do not divide into small blocks
    "pygpt2edge classify": "pygpt2edge classify --truncate",  # those models' contexts are short
    "--save": "--ignore-eos --save",  # a text that has ended cannot be resumed
}
# The same for Python; a small checkpoint of OpenAI's format for the hub's model.
IN_PYTHON = {
    '"openai-community/gpt2"': '"models/124M"',
    "max_tokens=None": "max_tokens=40",
}


@functools.cache
def compressed(text: str, is_message: bool) -> bytes:
    from pygpt2edge import GPT2  # so late: what only looks at names needs no model

    return GPT2().compress(text, message=is_message)


def fill(folder: Path) -> None:
    """The files that the examples read, and the command itself, as an installation has it."""
    for name in MODELS:
        shutil.copy(DEMO, folder / f"{name}.gguf")
    for name in TEXTS:
        (folder / name).write_text(TIMES * 9)
    for name in ("book.txt.p2z", "book.p2z", "message.p2z"):
        (folder / name).write_bytes(compressed(TIMES, name.startswith("message")))
    (folder / "words.txt").write_text("stormy night\nbitter end\n")
    _write_records(folder)
    _write_classifiers(folder)
    for name, adapter in (("poems-lora", "lora"), ("rhymes-lora", "dora")):
        shutil.copytree(ROOT / "tests" / "data" / "convert" / "lora" / adapter, folder / name)
    for name in ("124M", "1558M"):
        shutil.copytree(ROOT / "tests" / "data" / "convert" / "openai", folder / "models" / name)
    script = folder / ".venv" / "bin" / "pygpt2edge"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pygpt2edge "$@"\n')
    script.chmod(0o755)


def _write_records(folder: Path) -> None:
    record = {"prompt": "Born in the year", "candidates": [" 1830", " 2"], "review": "Good."}
    for name in ("prompts", "questions", "reviews"):
        (folder / f"{name}.jsonl").write_text(2 * (json.dumps(record) + "\n"))
    if find_spec("pyarrow") is not None:
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist([record]), folder / "people.parquet")


def _write_classifiers(folder: Path) -> None:
    """A checkpoint, and models that were fine-tuned to classify."""
    from pygpt2edge.convert import convert  # so late: what only looks at names needs no model

    for name in ("sentiment", "topics", "names"):
        checkpoint = write_checkpoint(folder / f"{name}-checkpoint", name)
        convert(checkpoint, folder / f"{name}.gguf", "f32")


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "PYGPT2EDGE_CACHE": str(folder / "cache"),
    }


def with_stand_ins(text: str, stand_ins: dict[str, str]) -> str:
    for name, stand_in in stand_ins.items():
        text = text.replace(name, stand_in)
    return text
