"""Compares the scores that lm-evaluation-harness gets of a server with those of its own `hf` model.

    python tools/compare_lm_eval.py CHECKPOINT TEXT [--python PYTHON]

CHECKPOINT is a folder of Hugging Face's, TEXT a UTF-8 file, of which two local tasks are made: one
of choices, and one of rolling log-likelihood. The harness needs lm-eval[api], torch and
transformers, which --python has; this program needs pygpt2edge[serve]. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pygpt2edge.convert import convert

CHOICES = """\
task: choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{before}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc}}]
"""
ROLLING = """\
task: rolling
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: bits_per_byte}}]
"""


def write_tasks(folder: Path, text: str) -> None:
    """The tasks and their documents: which of four words goes on, and passages, one of them longer
    than a context."""
    words = text.split()
    documents = [
        {
            "before": " ".join(words[start : start + 20]),
            "choices": [words[start + 20 + 7 * i] for i in range(4)],
            "answer": 0,
        }
        for start in range(0, 200, 20)
    ]
    passages = [{"text": text[start : start + 700]} for start in range(0, 2800, 700)]
    passages.append({"text": text[3000:11000]})
    for name, form, rows in (("choices", CHOICES, documents), ("rolling", ROLLING, passages)):
        data = folder / f"{name}.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (folder / f"{name}.yaml").write_text(form.format(data=json.dumps(str(data))))


def run_harness(python: str, folder: Path, model: str, arguments: str) -> dict[str, Any]:
    """The harness's answer to each request, by task."""
    out = folder / model
    command = [
        python, "-m", "lm_eval", "--model", model, "--model_args", arguments,
        "--tasks", "choices,rolling", "--include_path", str(folder), "--output_path", str(out),
        "--log_samples", "--batch_size", "1",
    ]  # fmt: skip
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    done = subprocess.run(
        command, env=os.environ | offline, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = {}
    for path in out.rglob("samples_*.jsonl"):
        lines = path.read_text(encoding="utf-8").splitlines()
        samples = sorted(map(json.loads, lines), key=lambda sample: sample["doc_id"])
        found[samples[0].get("task") or path.name.split("_")[1]] = [
            _number(answer) for sample in samples for answer in sample["resps"]
        ]
    return found


def _number(answer: Any) -> float:
    """The log-probability in an answer, however deep it is packed."""
    while isinstance(answer, list):
        answer = answer[0]
    return float(answer)


def compare(checkpoint: Path, text: str, python: str) -> dict[str, Any]:
    """The greatest difference of any answer, by task."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tasks(folder, text)
        gguf = convert(checkpoint, folder / "model.gguf", "f32").out
        command = [sys.executable, "-m", "pygpt2edge", "serve", "-m", str(gguf), "--port", "0"]
        server = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True)
        with server:
            try:
                assert server.stdout is not None
                url = json.loads(server.stdout.readline())["url"]
                ours = run_harness(
                    python, folder, "local-completions",
                    f"model=model,base_url={url}/v1/completions,tokenizer={checkpoint},"
                    "tokenizer_backend=huggingface,max_length=1024,num_concurrent=4",
                )  # fmt: skip
            finally:
                server.terminate()
        # Of a server's context, the harness leaves a token for what is generated, and one more.
        theirs = run_harness(
            python, folder, "hf", f"pretrained={checkpoint},dtype=float32,max_length=1022"
        )
    result: dict[str, Any] = {}
    for task, expected in theirs.items():
        pairs = list(zip(ours[task], expected, strict=True))
        result[task] = {
            "requests": len(pairs),
            "greatest_difference": max(abs(a - b) for a, b in pairs),
            "greatest_relative_difference": max(abs(a - b) / abs(b) for a, b in pairs),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--python", default=sys.executable)
    args = parser.parse_args()
    text = args.text.read_text(encoding="utf-8")
    print(json.dumps(compare(args.checkpoint.resolve(), text, args.python), indent=1))


if __name__ == "__main__":
    main()
