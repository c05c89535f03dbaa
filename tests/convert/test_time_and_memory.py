"""Small files that ask for much: of time, of memory, of the stack. Each is read or refused at once,
in memory that is a multiple of the file's size."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pygpt2edge import _core
from pygpt2edge.convert import convert
from pygpt2edge.convert.from_llm_c import open_llm_c
from pygpt2edge.convert.model_config import read_hugging_face_config, read_nanogpt_config
from pygpt2edge.convert.safetensors_reader import read_safetensors
from pygpt2edge.convert.tf_reader import read_tf_checkpoint
from pygpt2edge.convert.tokenizer_files import read_hugging_face_vocabulary
from pygpt2edge.convert.torch_pickle import read_pickle
from pygpt2edge.convert.torch_reader import read_torch
from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.tokenizer.json_parts import NORMAL, pair_model

ONE = b"K\x01"
SHARED = b"\x85" + b"2\x86" * 60  # a tuple of two of a tuple of two of ...
PICKLES = {
    "a deep key": b"\x80\x02}" + ONE + b"\x85" * 200_000 + ONE + b"s.",
    "an endless key": b"\x80\x02}" + ONE + SHARED + ONE + b"s.",
    "an endless set": b"\x80\x04(" + ONE + SHARED + b"\x91.",
    "an endless storage": b"\x80\x02" + ONE + SHARED + b"Q.",
    "a long number": b"\x80\x02\x8b\xff\xff\x00\x00" + b"\x7f" * 0xFFFF + b".",
    "attributes of a function": b"\x80\x02ctorch._utils\n_rebuild_tensor\nN}b.",
}


@pytest.mark.parametrize("pickled", PICKLES.values(), ids=PICKLES)
def test_pickles(pickled: bytes) -> None:
    try:
        assert read_pickle(io.BytesIO(pickled), Path("x.bin")) in ({}, frozenset())
    except (FormatError, UnsupportedError) as error:
        assert str(error).startswith("x.bin: ")
        assert len(str(error)) < 400


def test_a_state_dict_that_hides_its_methods(tmp_path: Path) -> None:
    """Attributes of a dictionary are dropped."""
    pickled = b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00items" + ONE + b"sb."
    with zipfile.ZipFile(tmp_path / "model.bin", "w") as archive:
        archive.writestr("a/data.pkl", pickled)
    assert read_torch(tmp_path / "model.bin") == {}


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_description_is_not_unpacked(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "model.bin", "w", kind) as archive:
        archive.writestr("a/data.pkl", bytes(50_000_000))
    with pytest.raises(UnsupportedError, match=r"data\.pkl is compressed"):
        read_torch(tmp_path / "model.bin")


def test_endless_settings_of_a_training_run(tmp_path: Path) -> None:
    pickled = b"\x80\x02}X\x01\x00\x00\x00a" + ONE + SHARED + b"s."
    args = read_pickle(io.BytesIO(pickled), tmp_path)
    with pytest.raises(UnsupportedError, match="'a' = a tuple"):
        read_nanogpt_config(tmp_path, args)


def test_a_tensor_of_very_many_dimensions(tmp_path: Path) -> None:
    shape = ",".join(["1"] * 100_000)
    header = f'{{"a":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,4]}}}}'.encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(FormatError, match="tensor a has 100,000 dimensions"):
        read_safetensors(path)


def test_an_llm_c_header_with_very_many_layers(tmp_path: Path) -> None:
    numbers = [20240326, 3, 8, 256, 1 << 24, 1, 8, 256]
    header = b"".join(n.to_bytes(4, "little") for n in numbers)
    (tmp_path / "model.bin").write_bytes(header.ljust(1024, b"\0"))
    with pytest.raises(FormatError, match="1024 bytes, expected"):
        open_llm_c(tmp_path / "model.bin")


def test_a_configuration_with_very_many_layers(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(data / "hugging_face", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_layer": 1 << 24}))
    with pytest.raises(FormatError, match="16777216 layers, but there are"):
        convert(folder, tmp_path / "out.gguf")


def varint(n: int) -> bytes:
    out = b""
    while n >= 0x80:
        out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
    return out + bytes([n])


def block(entries: list[tuple[int, bytes, bytes]]) -> bytes:
    """Of a sorted string table: bytes that a key has of the one before, its own, and a value."""
    body = b"".join(
        varint(shared) + varint(len(own)) + varint(len(value)) + own + value
        for shared, own, value in entries
    )
    body += (1).to_bytes(4, "little").rjust(8, b"\0") + b"\0"
    crc = _core.crc32c(body)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return body + masked.to_bytes(4, "little")


def index(path: Path, blocks: list[bytes], handles: list[int]) -> None:
    """A table whose index has these blocks, by their numbers."""
    data, places = b"", []
    for each in [*blocks, block([])]:
        places.append(varint(len(data)) + varint(len(each) - 5))
        data += each
    table = block([(0, bytes([i % 255]), places[number]) for i, number in enumerate(handles)])
    footer = places[-1] + varint(len(data)) + varint(len(table) - 5)
    magic = (0xDB4775248B80FB57).to_bytes(8, "little")
    path.write_bytes(data + table + footer.ljust(40, b"\0") + magic)


HEADER = (0, b"", b"\x08\x01")
SCALAR = b"\x08\x01\x28\x04"  # f32, 4 bytes


def test_a_table_that_names_a_block_many_times(tmp_path: Path) -> None:
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(4))
    index(tmp_path / "m.index", [block([HEADER, (0, b"a", SCALAR)])], [0, 0])
    with pytest.raises(FormatError, match="blocks overlap"):
        read_tf_checkpoint(tmp_path / "m")


def test_a_table_of_long_keys(tmp_path: Path) -> None:
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(4))
    keys = [(0, b"a" * 1000, SCALAR), *[(1000, bytes([i % 255]), SCALAR) for i in range(5000)]]
    index(tmp_path / "m.index", [block([HEADER, *keys])], [0])
    with pytest.raises(FormatError, match="keys have over 8 times"):
        read_tf_checkpoint(tmp_path / "m")


@pytest.mark.parametrize("value", ['{"n_embd": %s}', '{"id2label": %s}', '{"model_type": %s}'])
def test_deep_json(tmp_path: Path, value: str) -> None:
    path = tmp_path / "config.json"
    for deep in ("[" * 300 + "]" * 300, '{"a":' * 300 + "1" + "}" * 300):
        path.write_text(value % deep)
        with pytest.raises(FormatError, match="nested over 100 deep"):
            read_hugging_face_config(path)


def test_ids_of_very_many_digits(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "hugging_face" / "tokenizer.json", tmp_path)
    settings = {"added_tokens_decoder": {"9" * 5000: {"content": "a"}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    assert len(read_hugging_face_vocabulary(tmp_path, 296).tokens) == 296


def test_a_very_long_piece() -> None:
    with pytest.raises(UnsupportedError, match="x: a piece of the vocabulary has 300,000"):
        pair_model(["a" * 300_000], [0.0], [NORMAL], "a", byte_fallback=False, source="x")


# ---- memory ----

MOST = 100  # bytes of memory for a byte of a file; docs/reliability.md has it
SIZE = 200_000


def pickled(path: Path, body: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x04(" + body + b"l.")


def repeated_json(path: Path, part: str) -> None:
    path.write_text('{"a": [' + ",".join([part] * (SIZE // (len(part) + 1))) + "]}")


def safetensors(path: Path) -> None:
    parts, size = [], 0
    while size < SIZE:
        parts.append(f'"{len(parts)}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}')
        size += len(parts[-1])
    header = ("{" + ",".join(parts) + "}").encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def table(path: Path) -> None:
    (path.parent / "m.data-00000-of-00001").write_bytes(bytes(4))
    keys = [(0, i.to_bytes(3, "big"), SCALAR) for i in range(SIZE // 10)]
    index(path, [block([HEADER, *keys])], [0])


def gguf(path: Path) -> None:
    def text(data: bytes) -> bytes:
        return len(data).to_bytes(8, "little") + data

    n = SIZE // 10
    head = b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little")
    kind = (9).to_bytes(4, "little") + (8).to_bytes(4, "little") + n.to_bytes(8, "little")
    path.write_bytes(head + text(b"a.b") + kind + text(b"ab") * n)


# How the file is called, what reads it, and what makes it: of all that a reader takes, what takes
# the most memory for its size.
LARGE: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "lists": ("a.bin", "torch", lambda path: pickled(path, b"]" * SIZE)),
    "dictionaries": ("a.bin", "torch", lambda path: pickled(path, b"}" * SIZE)),
    "remembered lists": ("a.bin", "torch", lambda path: pickled(path, b"]\x94" * (SIZE // 2))),
    "globals": ("a.bin", "torch", lambda path: pickled(
        path, b"".join(b"c%x\n\n" % i for i in range(SIZE // 7)))),
    "numbers": ("a.bin", "torch", lambda path: pickled(path, b"\x8a\x02ab" * (SIZE // 4))),
    "JSON lists": ("a.json", "json", lambda path: repeated_json(path, "[]")),
    "JSON objects": ("a.json", "json", lambda path: repeated_json(path, "{}")),
    "JSON texts": ("a.json", "json", lambda path: repeated_json(path, '"\\u0100"')),
    "safetensors": ("a.safetensors", "safetensors", safetensors),
    "GGUF": ("a.gguf", "gguf", gguf),
    "table": ("m.index", "tensorflow", table),
}  # fmt: skip

CODE = """
import sys
from pathlib import Path
from pygpt2edge.convert.safetensors_reader import read_safetensors
from pygpt2edge.convert.tf_reader import read_tf_checkpoint
from pygpt2edge.convert.torch_reader import read_torch
from pygpt2edge.errors import Gpt2EdgeError
from pygpt2edge.json_file import read_json
from pygpt2edge import _core
import safetensors, zipfile
kind, path = sys.argv[1], Path(sys.argv[2])
readers = {"torch": read_torch, "json": read_json, "safetensors": read_safetensors,
           "gguf": lambda path: _core.GgufFile(str(path)).metadata["a.b"],
           "tensorflow": lambda path: read_tf_checkpoint(path.with_suffix(""))}
def peak():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return 1024 * int(status["VmHWM"].split()[0])
before = peak()
try:
    readers[kind](path)
except Gpt2EdgeError:
    pass
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read Linux's way")
@pytest.mark.parametrize("name", LARGE)
def test_memory_is_a_multiple_of_the_files_size(
    tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]], name: str
) -> None:
    file, kind, make = LARGE[name]
    path = tmp_path / file
    make(path)
    done = run_python(CODE, kind, path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MOST * path.stat().st_size + 5e6
