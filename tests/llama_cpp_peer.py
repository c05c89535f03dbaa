"""llama.cpp's quantizer and logits, through the package llama-cpp-python, where that is installed.

Importing this module needs it: tests do so by pytest.importorskip("llama_cpp").
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
from llama_cpp_models import WITH_IMPORTANCES
from numpy.typing import NDArray

# ggml's, of which the gguf package does not know the last yet.
TYPE_IDS = {type.name: int(type) for type in gguf.GGMLQuantizationType} | {"Q2_0": 42}


def importances(source: Path) -> dict[str, NDArray[np.float32]]:
    """Numbers in place of the mean squares that llama.cpp's imatrix tool measures: one for every
    input of a matrix."""
    random = np.random.RandomState(5)
    reader = gguf.GGUFReader(source)
    matrices = {t.name: int(t.shape[0]) for t in reader.tensors if len(t.shape) == 2}
    return {n: random.uniform(0.5, 2, k).astype(np.float32) for n, k in matrices.items()}


def quantize(
    source: Path, target: Path, ftype: str, types: Mapping[str, str] | None = None
) -> Path:
    """Writes `source`, an f32 or f16 file, as llama.cpp's `ftype`. `types` are ggml's names of
    types for tensors of these names."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{ftype.upper()}")
    params.nthread = 1
    numbers = importances(source)  # what is not needed for a type still makes it better
    imatrix = (llama_cpp.llama_model_imatrix_data * (len(numbers) + 1))()
    for entry, (name, values) in zip(imatrix, numbers.items(), strict=False):
        entry.name, entry.size = name.encode(), len(values)
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    if ftype in WITH_IMPORTANCES or types:
        params.imatrix = imatrix
    overrides = (llama_cpp.llama_model_tensor_override * (len(types or {}) + 1))()
    for override, (name, type) in zip(overrides, (types or {}).items(), strict=False):
        override.pattern = name.replace(".", r"\.").encode()
        override.type = TYPE_IDS[type]
    if types:
        params.tt_overrides = overrides
    paths = str(source).encode(), str(target).encode()
    status = llama_cpp.llama_model_quantize(*paths, ctypes.byref(params))
    assert status == 0, f"llama.cpp did not write {ftype}"
    return target


def logits(path: Path, tokens: NDArray[np.int32]) -> NDArray[np.float32]:
    """Of every token, by llama.cpp."""
    model = llama_cpp.Llama(
        str(path), n_ctx=64, n_threads=1, n_threads_batch=1, logits_all=True, verbose=False
    )
    model.eval(tokens.tolist())
    found: NDArray[np.float32] = model.scores[: len(tokens)].astype(np.float32)
    model.close()
    return found
