# What PyInstaller is to put into an app that imports pygpt2edge. It runs this file itself.
from typing import Any

from PyInstaller.utils.hooks import collect_data_files, get_hook_config

# Text is generated without these. They are there where the app itself imports them or is built with
# --hidden-import; what needs one that is not there says so in a line.
excludedimports = [
    "gguf",
    "google",
    "huggingface_hub",
    "llguidance",
    "matplotlib",
    "numpy",
    "pyarrow",
    "ray",
    "safetensors",
    "sentencepiece",
    "tiktoken",
    "tokenizers",
    "typing_extensions",
]


def hook(api: Any) -> None:
    """The models, the page of attention maps and the server's; not the C library, which Python does
    not use."""
    models = get_hook_config(api, "pygpt2edge", "demo-model")
    left_out = [] if models in (None, True) else ["**/demo.gguf"]
    api.add_datas(collect_data_files("pygpt2edge", subdir="data", excludes=left_out))
    api.add_datas(collect_data_files("pygpt2edge", subdir="serve/page"))
