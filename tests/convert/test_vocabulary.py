"""The tokenizer that a file carries, from every way checkpoints store one."""

from __future__ import annotations

import json

import pytest

from pygpt2edge.convert import convert
from pygpt2edge.convert.tokenizer_files import read_hugging_face_vocabulary
from pygpt2edge.convert.vocabulary import (
    CONTROL,
    NORMAL,
    UNUSED,
    USER_DEFINED,
    byte_alphabet,
    read_openai_vocabulary,
)
from pygpt2edge.errors import FormatError, UnsupportedError

N_VOCAB = 296
ADDED = {289: "<|user|>", 290: "hello world"}


def read(folder, n_vocab=N_VOCAB):
    return read_hugging_face_vocabulary(folder, n_vocab)


@pytest.fixture
def change_tokenizer(hf_folder):
    """Edits tokenizer.json in place, and makes it the only tokenizer of the folder."""

    def change(edit):
        path = hf_folder / "tokenizer.json"
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))
        (hf_folder / "vocab.json").unlink(missing_ok=True)

    return change


def test_tables_of_a_transformers_folder(hf_folder):
    vocabulary = read(hf_folder)
    vocab = json.loads((hf_folder / "vocab.json").read_text())
    assert all(vocabulary.tokens[i] == token for token, i in vocab.items())
    assert vocabulary.types[:288] == [NORMAL] * 288
    assert vocabulary.types[288:291] == [CONTROL, CONTROL, USER_DEFINED]
    assert vocabulary.tokens[288:291] == ["<|endoftext|>", "<|user|>", "hello world"]
    assert vocabulary.tokens[291:] == [f"[PAD{i}]" for i in range(291, 296)]
    assert vocabulary.types[291:] == [UNUSED] * 5
    lines = (hf_folder / "merges.txt").read_text().splitlines()
    assert vocabulary.merges == lines[1:]
    assert len(vocabulary.merges) == 32
    assert vocabulary.warnings == ()


def test_byte_alphabet_is_the_official_one(hf_folder):
    vocab = json.loads((hf_folder / "vocab.json").read_text())
    assert byte_alphabet() == {token for token in vocab if len(token) == 1}


def test_tokenizer_json_alone_gives_the_same(hf_folder):
    expected = read(hf_folder)
    (hf_folder / "vocab.json").unlink()
    (hf_folder / "merges.txt").unlink()
    assert read(hf_folder) == expected


def test_tokenizer_json_with_merges_as_strings(hf_folder, change_tokenizer):
    expected = read(hf_folder)

    def edit(content):
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]

    change_tokenizer(edit)
    assert read(hf_folder) == expected


def test_openai_tables(openai_folder, hf_folder):
    vocabulary = read_openai_vocabulary(openai_folder, N_VOCAB)
    assert vocabulary.merges == read(hf_folder).merges
    assert vocabulary.tokens[:289] == read(hf_folder).tokens[:289]
    assert vocabulary.types[288:] == [CONTROL] + [UNUSED] * 7


def test_added_tokens_of_old_folders(hf_folder):
    """added_tokens.json does not say which are special: special_tokens_map.json does."""
    expected = read(hf_folder)
    (hf_folder / "tokenizer.json").unlink()
    (hf_folder / "tokenizer_config.json").unlink()
    added = {text: i for i, text in ADDED.items()}
    (hf_folder / "added_tokens.json").write_text(json.dumps(added))
    (hf_folder / "special_tokens_map.json").write_text(
        json.dumps(
            {
                "eos_token": {"content": "<|endoftext|>", "lstrip": False},
                "additional_special_tokens": ["<|user|>"],
            }
        )
    )
    assert read(hf_folder) == expected


def test_added_tokens_of_tokenizer_config(hf_folder):
    expected = read(hf_folder)
    (hf_folder / "tokenizer.json").unlink()
    decoder = {str(i): {"content": text, "special": i == 289} for i, text in ADDED.items()}
    config = {"added_tokens_decoder": decoder}
    (hf_folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert read(hf_folder) == expected


def test_special_token_inside_the_vocabulary_is_control(hf_folder):
    (hf_folder / "tokenizer.json").unlink()
    (hf_folder / "special_tokens_map.json").write_text('{"pad_token": "Ġthe"}')
    vocabulary = read(hf_folder)
    assert vocabulary.types[vocabulary.id_of("Ġthe")] == CONTROL


def test_added_tokens_without_a_row_are_left_out_and_named(hf_folder):
    vocabulary = read(hf_folder, 289)
    assert len(vocabulary.tokens) == 289
    assert "'<|user|>', 'hello world'" in vocabulary.warnings[0]


def test_tokens_without_a_row_are_refused(hf_folder):
    with pytest.raises(FormatError, match=r"vocab\.json.*up to 290, but the embedding has 280"):
        read(hf_folder, 280)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t["model"]["vocab"].pop("!"), "byte tokens are missing"),
        (lambda t: t["model"]["vocab"].update({"日本": 291}), "byte alphabet"),
    ],
)
def test_vocabularies_that_are_not_of_bytes_are_refused(hf_folder, change_tokenizer, edit, words):
    change_tokenizer(edit)
    with pytest.raises(UnsupportedError, match=words) as caught:
        read(hf_folder)
    assert "tokenizer.json" in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t["model"]["vocab"].update({"th": 0}), "both have id 0"),
        (lambda t: t["model"]["vocab"].update({"th": "0"}), "id of 'th' is '0'"),
        (lambda t: t["model"]["vocab"].update({"th": -1}), "id of 'th' is -1"),
        (lambda t: t["model"].update(vocab=["th"]), "has no vocabulary"),
        (lambda t: t["model"]["merges"].append(["q", "q"]), r"merge 32 'q q'"),
        (lambda t: t["model"]["merges"].append(["q"]), "expected two tokens"),
        (lambda t: t["model"]["merges"].append(7), "merge 7"),
        (lambda t: t["added_tokens"].append({"id": 0, "content": "x"}), "id 0 is '!'"),
    ],
)
def test_contradictions_are_refused(hf_folder, change_tokenizer, edit, words):
    change_tokenizer(edit)
    with pytest.raises(FormatError, match=words):
        read(hf_folder)


def test_merges_of_another_vocabulary(hf_folder):
    with (hf_folder / "merges.txt").open("a") as file:
        file.write("Ġpy thon\n")
    with pytest.raises(FormatError, match="do not belong together"):
        read(hf_folder)


@pytest.mark.parametrize("line", ["one", "one two three", " two", "two "])
def test_damaged_merges_line(hf_folder, line):
    with (hf_folder / "merges.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(FormatError, match=r"merges\.txt: line 34"):
        read(hf_folder)


def test_windows_line_ends_and_no_version_line(hf_folder):
    expected = read(hf_folder)
    path = hf_folder / "merges.txt"
    path.write_bytes("\r\n".join(path.read_text().splitlines()[1:]).encode())
    assert read(hf_folder) == expected


def test_missing_tokenizer_is_an_error_that_names_the_files(hf_folder, tmp_path):
    for name in ("vocab.json", "tokenizer.json"):
        (hf_folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=r"vocab\.json and merges\.txt.*or vocab\.txt or"):
        convert(hf_folder, tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


def test_openai_folder_without_its_merges(openai_folder, tmp_path):
    (openai_folder / "vocab.bpe").unlink()
    with pytest.raises(FileNotFoundError, match=r"vocab\.bpe"):
        convert(openai_folder, tmp_path / "out.gguf")
