"""Files of models with something changed in them."""

from __future__ import annotations

from pathlib import Path

import gguf


def patched_gguf(
    source: Path, path: Path, change: dict[str, object], drop: tuple[str, ...] = ()
) -> Path:
    """A copy of a file of f32 tensors with keys and tensors changed, or left out."""
    reader = gguf.GGUFReader(source)
    change = dict(change)
    writer = gguf.GGUFWriter(path, str(change.pop("general.architecture", "gpt2")))
    for name, field in reader.fields.items():
        if name.startswith(("GGUF.", "general.architecture")) or name in drop:
            continue
        value = change.pop(name, field.contents())
        writer.add_key_value(name, value, field.types[0], *field.types[1:])
    for tensor in reader.tensors:
        if tensor.name not in drop:
            writer.add_tensor(tensor.name, change.pop(tensor.name, tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert not change, change
    return path
