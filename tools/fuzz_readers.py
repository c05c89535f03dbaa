"""Feeds bytes to the readers of other programs' files, which are Python, by Atheris and libFuzzer.

    python tools/fuzz_readers.py TARGET [OPTION ...]

tools/fuzz.py runs these as it runs the fuzzers of the core; the options are libFuzzer's. What a
reader accepts is read to its end. What it refuses, it refuses by an error of this package that
names the file; anything else, and more memory than -rss_limit_mb, is a finding. Needs
`pip install atheris`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pygpt2edge"]):
    from pygpt2edge.convert.from_llm_c import is_llm_c, open_llm_c
    from pygpt2edge.convert.model_config import read_hugging_face_config, read_openai_config
    from pygpt2edge.convert.safetensors_reader import read_safetensors
    from pygpt2edge.convert.stored_tensor import StoredTensor
    from pygpt2edge.convert.tf_reader import read_tf_checkpoint
    from pygpt2edge.convert.tokenizer_files import read_hugging_face_vocabulary
    from pygpt2edge.convert.torch_reader import read_torch_file
    from pygpt2edge.errors import Gpt2EdgeError

DATA = Path(__file__).resolve().parents[1] / "tests" / "data" / "convert"
FLOATS = ("bf16", "f16", "f32", "f64")
N_VOCAB = 256  # of the checkpoints there


def read_all(tensors: Iterable[StoredTensor]) -> None:
    """What can be a weight; the converter takes nothing else."""
    for tensor in [t for t in tensors if t.dtype in FLOATS and 1 <= len(t.shape) <= 2][:100]:
        n_rows = 1 if len(tensor.shape) < 2 else tensor.shape[0]
        tensor.read_rows(0, min(n_rows, 1000))
        tensor.verify()


def safetensors(path: Path) -> None:
    read_all(read_safetensors(path).values())


def torch(path: Path) -> None:
    read_all(read_torch_file(path).tensors.values())


def tensorflow(path: Path) -> None:
    """The index of a checkpoint, beside sound numbers."""
    read_all(read_tf_checkpoint(path.with_suffix("")).values())


def llm_c(path: Path) -> None:
    if is_llm_c(path):
        for _, source in open_llm_c(path).tensors:
            if isinstance(source, StoredTensor):
                read_all([source])


def config(path: Path) -> None:
    for read in (read_hugging_face_config, read_openai_config):
        try:
            read(path)
        except Gpt2EdgeError as error:
            check(error, path)


def tokenizer(path: Path) -> None:
    read_hugging_face_vocabulary(path.parent, N_VOCAB)


# How the file is called, what it stands beside, and the reader.
TARGETS: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "read_safetensors": ("model.safetensors", "", safetensors),
    "read_torch": ("pytorch_model.bin", "", torch),
    "read_tensorflow": ("model.ckpt.index", "openai", tensorflow),
    "read_llm_c": ("model.bin", "", llm_c),
    "read_config": ("config.json", "", config),
    "read_tokenizer": ("tokenizer.json", "hugging_face", tokenizer),
}


def check(error: Gpt2EdgeError, path: Path) -> None:
    """One line that names the file or its folder."""
    message = str(error)
    assert "\n" not in message, message
    assert str(path.parent) in message, message
    assert len(message) < 2000, message


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("options", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    name, beside, read = TARGETS[given.target]
    with tempfile.TemporaryDirectory() as folder:
        if beside:
            shutil.copytree(DATA / beside, folder, dirs_exist_ok=True)
        path = Path(folder).resolve() / name

        def test_one_input(data: bytes) -> None:
            path.write_bytes(data)
            try:
                read(path)
            except Gpt2EdgeError as error:
                check(error, path)

        atheris.Setup([sys.argv[0], *given.options], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
