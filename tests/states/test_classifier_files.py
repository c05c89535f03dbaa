"""What a file says of its classifier is not trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from classifier_models import write_checkpoint
from patched_gguf import patched_gguf

from pygpt2edge import GPT2, FormatError, UnsupportedError
from pygpt2edge.convert import convert

LABELS = "gpt2.classifier.output_labels"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("names")
    return convert(write_checkpoint(folder / "names", "names"), folder / "n.gguf", "f32").out


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({LABELS: ["a", "b"]}, FormatError, r"output_labels has 2 labels, cls\.output\.weight 5"),
        ({"cls.output.weight": np.zeros((5, 31), np.float32)}, FormatError, r"is not \[5, 32\]"),
        ({"cls.output.weight": np.zeros(160, np.float32)}, FormatError, r"is not \[labels, 32\]"),
        ({"cls.output.bias": np.zeros(4, np.float32)}, FormatError, r"cls\.output\.bias is not"),
        ({"pygpt2edge.classifier.classifies": "words"}, UnsupportedError, 'is "words"'),
    ],
)  # fmt: skip
def test_a_head_that_does_not_fit(
    names: Path, tmp_path: Path, change: dict[str, object], error: type[Exception], words: str
) -> None:
    path = patched_gguf(names, tmp_path / "wrong.gguf", change)
    with pytest.raises(error, match=rf"wrong\.gguf: .*{words}"):
        GPT2(path)


def test_without_names_and_kind_it_classifies_texts_by_numbers(names: Path, tmp_path: Path) -> None:
    """As a file of another program may be."""
    drop = (LABELS, "pygpt2edge.classifier.classifies", "cls.output.bias")
    model = GPT2(patched_gguf(names, tmp_path / "plain.gguf", {}, drop))
    found = model.classify("the", top_k=None)
    assert sorted(label.label for label in found) == [f"LABEL_{i}" for i in range(5)]
    again = GPT2(convert(model.path, tmp_path / "again.gguf", "f32").out)
    assert again.classify("the", top_k=None) == found
