"""Conversion streams: memory depends on the largest tensor, not on the model."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest

N_EMBD, N_LAYER, N_VOCAB = 1024, 9, 10_000
LARGEST = 4 * N_EMBD * N_VOCAB  # token_embd in float32: 41 MB

CODE = """
import sys
from pygpt2edge.convert import convert
report = convert(sys.argv[1], sys.argv[2], sys.argv[3])
# The program's own peak: getrusage would start from that of the process that started it.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(report.n_params, status["VmHWM"].split()[0])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    """A model of 500 MB in float32, stored as float16."""
    from safetensors.numpy import save_file

    data = request.path.parent.parent / "data" / "convert" / "hugging_face"
    folder = tmp_path_factory.mktemp("medium")
    shutil.copy(data / "tokenizer.json", folder)
    config = json.loads((data / "config.json").read_text())
    config |= {"n_embd": N_EMBD, "n_layer": N_LAYER, "n_head": 16, "vocab_size": N_VOCAB}
    (folder / "config.json").write_text(json.dumps(config))
    noise = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float16)

    def tensor(*shape: int) -> np.ndarray:
        return np.resize(noise, shape)

    tensors = {"wte.weight": tensor(N_VOCAB, N_EMBD), "wpe.weight": tensor(16, N_EMBD)}
    matrices = {"attn.c_attn": (1, 3), "attn.c_proj": (1, 1), "mlp.c_fc": (1, 4),
                "mlp.c_proj": (4, 1)}  # fmt: skip
    norms = ["ln_f", *(f"h.{i}.{name}" for i in range(N_LAYER) for name in ("ln_1", "ln_2"))]
    for name in norms:
        tensors |= {f"{name}.weight": tensor(N_EMBD), f"{name}.bias": tensor(N_EMBD)}
    for i in range(N_LAYER):
        for name, (n_in, n_out) in matrices.items():
            tensors[f"h.{i}.{name}.weight"] = tensor(n_in * N_EMBD, n_out * N_EMBD)
            tensors[f"h.{i}.{name}.bias"] = tensor(n_out * N_EMBD)
    save_file(tensors, folder / "model.safetensors")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read Linux's way")
@pytest.mark.parametrize("kind", ["q8_0", "f32"])
def test_peak_memory(folder, tmp_path, run_python, kind):
    out = tmp_path / "out.gguf"
    result = run_python(CODE, folder, out, kind)
    assert result.returncode == 0, result.stderr
    out.unlink()
    n_params, peak = map(int, result.stdout.split())
    peak *= 1024
    limit = LARGEST + 300e6
    assert 4 * n_params > limit  # the model would not fit
    assert peak < limit
