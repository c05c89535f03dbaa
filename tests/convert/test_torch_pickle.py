"""PyTorch files whose pickles want to do more than describe tensors, or describe them falsely."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest

from pygpt2edge.convert.torch_pickle import read_pickle
from pygpt2edge.convert.torch_reader import read_torch
from pygpt2edge.errors import FormatError, UnsupportedError


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


HOSTILE = {
    "os.system": lambda marker: Call(os.system, f"touch {marker}"),
    "eval": lambda marker: Call(eval, f"__import__('os').mkdir({str(marker)!r})"),
    "os.mkdir": lambda marker: Call(os.mkdir, str(marker)),
    "getattr": lambda marker: Call(getattr, Path(marker), "touch"),
    "pickle in a pickle": lambda marker: Call(pickle.loads, pickle.dumps(Path(marker))),
}


def store_zip(path, description: bytes, **members: bytes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", description)
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_pickle_does_not_run(tmp_path, attack, protocol):
    marker = tmp_path / "marker"
    hostile = OrderedDict(weight=HOSTILE[attack](marker))
    pickled = pickle.dumps(hostile, protocol=protocol)
    store_zip(tmp_path / "pytorch_model.bin", pickled)
    with pytest.raises(UnsupportedError, match=r"pytorch_model\.bin.*asks for [\w.]+, which"):
        read_torch(tmp_path / "pytorch_model.bin")
    assert not marker.exists()
    # The attack is real: the ordinary unpickler runs it.
    if attack in ("os.system", "eval", "os.mkdir"):
        pickle.loads(pickled)
        assert marker.exists()


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_legacy_file_does_not_run(tmp_path, data, attack):
    marker = tmp_path / "marker"
    content = (data / "torch" / "legacy.bin").read_bytes()
    hostile = pickle.dumps(HOSTILE[attack](marker), protocol=2)
    for start in (0, content.index(b"\x80\x02", 2)):  # instead of the magic number, and after it
        path = tmp_path / "pytorch_model.bin"
        path.write_bytes(content[:start] + hostile + content[start:])
        with pytest.raises(UnsupportedError, match="asks for"):
            read_torch(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name",
    ["torch.load", "torch._utils._rebuild_qtensor", "torch.storage._load_from_bytes",
     "torch._utils.os", "collections.OrderedDict.fromkeys", "builtins.dict"],
)  # fmt: skip
def test_the_refused_global_is_named(name):
    module, function = name.rsplit(".", 1)
    pickled = f"c{module}\n{function}\n.".encode()
    with pytest.raises(UnsupportedError, match=rf"asks for {name}, which"):
        read_pickle(io.BytesIO(pickled), Path("x.bin"))


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x63.",
        b"\x80\x02K\x01r\xff\xff\xff\x7f.",  # memo index 2**31: 16 GB of memo
        b"\x80\x02X\xff\xff\xff\x7fabc.",  # a string of 2 GB
        b"\x80\x05\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",  # and one of 2**63 bytes
        b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",  # a frame of that size
        b"\x80\x02(K\x01K\x02",
        b"\x80\x020.",
        b"\x80\x02h\x05.",
        b"\x80\x02]Q.",
        b"\x80\x02X\x07\x00\x00\x00storageQ.",
        b"\x80\x02ccollections\nOrderedDict\nK\x05R.",
        b"\x80\x02ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aK\x01sb.",
    ],
)
def test_damaged_pickles_raise_format_errors(pickled):
    with pytest.raises(FormatError, match=r"x\.bin"):
        value = read_pickle(io.BytesIO(pickled), Path("x.bin"))
        if isinstance(value, dict):  # attributes set on a dictionary change none of its entries
            raise FormatError(f"x.bin: {dict(value)}")


def describe(storage_size, offset, shape, strides, kind="FloatStorage") -> bytes:
    """The pickle of {"w": tensor}, assembled opcode by opcode."""

    def integers(values):
        return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"

    storage = b"(Vstorage\nctorch\n" + kind.encode() + b"\nV0\nVcpu\nI%d\nt" % storage_size + b"Q"
    arguments = (
        b"(" + storage + b"I%d\n" % offset + integers(shape) + integers(strides) + b"I00\n"
        b"ccollections\nOrderedDict\n(tRt"
    )
    return b"\x80\x02}Vw\nctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


def test_assembled_description_is_read(tmp_path):
    path = tmp_path / "model.bin"
    store_zip(path, describe(12, 2, (2, 3), (5, 1)), **{"data/0": bytes(48)})
    tensor = read_torch(path)["w"]
    assert (tensor.dtype, tensor.shape, tensor.strides) == ("f32", (2, 3), (5, 1))


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (describe(1000, 0, (2, 3), (3, 1)), "claims 4000 bytes"),
        (describe(2**62, 0, (2, 3), (3, 1)), "claims"),
        (describe(12, 0, (4, 4), (4, 1)), "reach beyond"),
        (describe(12, 7, (2, 3), (3, 1)), "reach beyond"),
        (describe(12, 0, (2, 3), (10, 1)), "reach beyond"),
        (describe(12, 0, (2**40, 2**40), (0, 0)), "reach beyond"),
        (describe(12, 0, (100,), (0,)), "reach beyond"),
        (describe(12, -1, (2, 3), (3, 1)), "damaged description"),
        (describe(12, 0, (-2, 3), (3, 1)), "damaged description"),
        (describe(12, 0, (2, 3), (-3, 1)), "damaged description"),
        (describe(12, 0, (2, 3), (1,)), "damaged description"),
        (describe(-12, 0, (2, 3), (3, 1)), "not a storage"),
        (describe(12, 0, (2, 3), (3, 1), kind="QInt8Storage"), "torch.QInt8Storage"),
    ],
)
def test_lying_sizes_and_strides(tmp_path, description, words):
    path = tmp_path / "model.bin"
    store_zip(path, description, **{"data/0": bytes(48)})
    with pytest.raises((FormatError, UnsupportedError), match=words):
        read_torch(path)


def test_missing_storage(tmp_path):
    store_zip(tmp_path / "model.bin", describe(12, 0, (2, 3), (3, 1)))
    with pytest.raises(FormatError, match="storage '0' is missing"):
        read_torch(tmp_path / "model.bin")


def test_compressed_storage_is_refused_by_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", describe(12, 0, (2, 3), (3, 1)))
        archive.writestr("archive/data/0", bytes(48), zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsupportedError, match="archive/data/0 is compressed"):
        read_torch(tmp_path / "model.bin")


def test_big_endian_is_refused(tmp_path):
    members = {"data/0": bytes(48), "byteorder": b"big"}
    store_zip(tmp_path / "model.bin", describe(12, 0, (2, 3), (3, 1)), **members)
    with pytest.raises(UnsupportedError, match="big-endian"):
        read_torch(tmp_path / "model.bin")


def test_training_checkpoint_is_told_from_a_state_dict(tmp_path):
    store_zip(tmp_path / "model.bin", pickle.dumps({"epoch": 3, "state_dict": {}}, 2))
    with pytest.raises(UnsupportedError, match="'epoch' is a int, expected a tensor"):
        read_torch(tmp_path / "model.bin")


def test_archive_without_a_description(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.bin", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FormatError, match="without data.pkl"):
        read_torch(tmp_path / "model.bin")


@pytest.mark.parametrize("name", ["zip.bin", "legacy.bin"])
@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.999])
def test_truncated_files(tmp_path, data, name, share):
    content = (data / "torch" / name).read_bytes()
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(FormatError, match=r"pytorch_model\.bin"):
        read_torch(path)


@pytest.mark.slow
def test_damaged_directories(tmp_path, data):
    """The end of the file: each member's name, sizes and place, and the directory's own."""
    content = (data / "torch" / "zip.bin").read_bytes()
    start = content.index(b"PK\x01\x02")
    path = tmp_path / "pytorch_model.bin"
    whole = read_torch(data / "torch" / "zip.bin")
    for place in range(start, len(content), 5):
        for value in (0xFF, content[place] ^ 1):
            changed = bytearray(content)
            changed[place] = value
            path.write_bytes(changed)
            try:
                assert read_torch(path).keys() == whole.keys()
            except (FormatError, UnsupportedError) as error:
                assert "pytorch_model.bin" in str(error)


def test_legacy_file_with_a_lying_count(tmp_path, data):
    content = bytearray((data / "torch" / "legacy.bin").read_bytes())
    count = (296 * 32).to_bytes(8, "little")
    place = content.index(count)
    content[place : place + 8] = (2**40).to_bytes(8, "little")
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="has 1099511627776 elements, its tensors say 9472"):
        read_torch(path)
