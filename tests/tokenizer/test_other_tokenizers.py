"""Models whose tokenizer is not GPT-2's: converted, loaded, and compared with transformers'."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import pytest

from pygpt2edge import GPT2, FormatError, MissingDependencyError, UnsupportedError, _core
from pygpt2edge.convert import convert
from pygpt2edge.convert.tokenizer_files import read_hugging_face_vocabulary
from pygpt2edge.loaded_model import tokenizer_of
from pygpt2edge.tokenizer import HUGGING_FACE_KEY, Tokenizer, read_tokenizer

pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

import other_tokenizers as makers
import sentencepiece
from transformers import AutoTokenizer

PROMPT = "It was the best"
# In a Unigram model transformers finds special tokens even in what it is told to read as plain.
SPECIAL = ("<s>", "</s>", "<unk>")


class Case(NamedTuple):
    name: str
    folder: Path
    model: GPT2


# Of this kind sentencepiece is the judge, in a test of its own.
OTHER_JUDGE = "transformers 5 takes token 2 for unknown characters, and keeps capitals"


@pytest.fixture(scope="module", params=makers.ALL)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    makers.ALL[request.param](folder)
    convert(folder, folder / "model.gguf", "f32")
    return Case(request.param, folder, GPT2(folder / "model.gguf"))


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("chinese")
    makers.chinese(folder)
    convert(folder, folder / "model.gguf", "f32")
    return Case("chinese", folder, GPT2(folder / "model.gguf"))


def test_ids_and_texts_are_those_of_transformers(case: Case) -> None:
    if case.name == "japanese":
        pytest.skip(OTHER_JUDGE)
    tokenizer = case.model.tokenizer
    theirs = AutoTokenizer.from_pretrained(case.folder)
    for text in makers.some_texts(150):
        for options in ({}, {"add_special_tokens": False}):
            ids = theirs.encode(text, **options)
            assert tokenizer.encode(text, allow_special=True, **options) == ids, text
            # That class puts spaces around special tokens, and takes all at the beginning away.
            is_plain = set(theirs.all_special_ids).isdisjoint(ids) and not text.startswith("▁")
            if case.name != "swedish" or is_plain:
                assert tokenizer.decode(ids) == theirs.decode(ids), text
            if not any(special in text for special in SPECIAL):
                plain = theirs.encode(text, split_special_tokens=True, **options)
                assert tokenizer.encode(text, **options) == plain, text


def test_places_are_those_of_transformers(case: Case) -> None:
    if case.name == "japanese":
        pytest.skip(OTHER_JUDGE)
    theirs = AutoTokenizer.from_pretrained(case.folder)
    if not theirs.is_fast:
        pytest.skip("that class of transformers tells no places")
    for text in makers.some_texts(50):
        found = theirs(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        marked = zip(found["special_tokens_mask"], found["offset_mapping"], strict=True)
        places = [None if is_around else tuple(place) for is_around, place in marked]
        ids, own = case.model.tokenizer.encode_with_places(text, allow_special=True)
        assert ids == found["input_ids"], text
        assert own == places, text


@pytest.mark.parametrize("name", ["t5", "japanese", "pairs"])
def test_ids_are_those_of_sentencepiece(name: str, tmp_path: Path) -> None:
    makers.ALL[name](tmp_path)
    convert(tmp_path, tmp_path / "model.gguf", "f32")
    tokenizer = tokenizer_of(tmp_path / "model.gguf")
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(next(tmp_path.glob("*.model"))))
    end = [theirs.piece_to_id("</s>")] if name != "pairs" else []
    for text in makers.some_texts(150):
        if "\x85" in text:
            continue  # T5's class of transformers takes it for a space
        ids = theirs.encode(text.lower() if name == "japanese" else text)
        assert tokenizer.encode(text, add_special_tokens=False) == ids, text
        assert tokenizer.encode(text) == ids + end, text


def test_no_text_gives_a_special_token(case: Case) -> None:
    tokenizer = case.model.tokenizer
    unknown = _core.GgufFile(case.model.path).value("tokenizer.ggml.unknown_token_id")
    for token in tokenizer.special_tokens - {unknown}:
        text = tokenizer.decode([token])
        assert token not in tokenizer.encode(f"a {text} b", add_special_tokens=False)


def test_pieces_are_the_text_behind_the_prompt(case: Case) -> None:
    model = case.model
    pieces = list(model.stream(PROMPT, max_tokens=24, seed=3, ignore_eos=True))
    whole = model.generate(PROMPT, max_tokens=24, seed=3, ignore_eos=True)
    text = "".join(piece.text for piece in pieces)
    assert text == whole.text
    tokenizer = model.tokenizer
    assert whole.prompt_tokens == tokenizer.encode(PROMPT)
    assert text == tokenizer.decode_bytes(whole.tokens).decode(errors="replace")
    before = tokenizer.decode(whole.prompt_tokens)
    both = tokenizer.decode([*whole.prompt_tokens, *whole.tokens])
    assert both == before + text
    alone = model.generate(PROMPT, max_tokens=1, add_special_tokens=False)
    assert alone.prompt_tokens == tokenizer.encode(PROMPT, add_special_tokens=False)


def test_stop_strings_end_a_text_between_its_characters(case: Case) -> None:
    model = case.model
    options: dict[str, Any] = {"max_tokens": 24, "seed": 3, "ignore_eos": True}
    whole = model.generate(PROMPT, **options).text
    stop = next(part for i in range(5, 60) if "\ufffd" not in (part := whole[i : i + 2]))
    text = model.generate(PROMPT, stop=stop, **options)
    assert text.finish_reason == "stop"
    assert text.stop_string == stop
    assert text.text == whole[: whole.index(stop)]


def test_suggestions_are_words_that_go_on_with_the_text(case: Case) -> None:
    model = case.model
    for text in ("It was the be", "It was the ", "", "It", "天"):
        found = model.suggest(text, k=4)
        assert len(found) == 4, text
        shown = text.rsplit(" ", 1)[-1] if not text.endswith("天") else ""
        for each in found:
            assert each.word.lower().startswith(shown.lower()), (text, each)
            assert (shown + each.completion).strip().lower() == each.word.lower(), (text, each)


def test_constrained_texts_are_of_their_language(case: Case) -> None:
    pytest.importorskip("llguidance")
    model = case.model
    words, end = "( (the|times|of)){3}", "(st|sts) of( [a-z]){2}"
    for seed in range(3):
        text = model.generate(PROMPT, regex=words, seed=seed, max_tokens=40, token_healing=False)
        assert re.fullmatch(words, text.text)
        healed = model.generate(
            "It was the be", regex=end, seed=seed, max_tokens=40, add_special_tokens=False
        )
        whole = model.tokenizer.decode([*healed.prompt_tokens, *healed.tokens])
        assert re.fullmatch(f" ?it was the be{end}", whole.lower())


def test_a_language_without_tokens_has_no_text(chinese: Case) -> None:
    pytest.importorskip("llguidance")
    with pytest.raises(ValueError, match="regex: it has no text that begins so"):
        chinese.model.generate(PROMPT, regex="\u2603+")


def test_a_batch_a_search_and_a_file_that_is_converted_again(case: Case, tmp_path: Path) -> None:
    model = case.model
    texts = model.generate([PROMPT, "天气"], max_tokens=4, seed=1)
    assert texts[0].tokens == model.generate(PROMPT, max_tokens=4, seed=1).tokens
    assert model.beam_search(PROMPT, max_tokens=4)[0].prompt_tokens == texts[0].prompt_tokens
    convert(case.model.path, tmp_path / "again.gguf", "q8_0")
    again = tokenizer_of(tmp_path / "again.gguf")
    assert again.is_same_as(model.tokenizer)
    text = makers.CORPUS[1]
    assert again.encode(text) == model.tokenizer.encode(text)
    keys = [_core.GgufFile(path).metadata for path in (model.path, tmp_path / "again.gguf")]
    tokenizers = [{k: v for k, v in each.items() if k.startswith("tokenizer.")} for each in keys]
    assert tokenizers[0] == tokenizers[1]


# ---- what llama.cpp's converter writes: no description, but the tables ----


def without_description(source: Path, target: Path, **changes: Any) -> Tokenizer:
    """The tokenizer of a file with the same tables and no tokenizer.json."""
    file = _core.GgufFile(source)
    writer = gguf.GGUFWriter(target, "gpt2")
    values = {k: v for k, v in file.metadata.items() if k.startswith("tokenizer.")} | {
        f"tokenizer.ggml.{name}": file.value(f"tokenizer.ggml.{name}")
        for name in ("tokens", "scores", "token_type", "precompiled_charsmap", "merges")
    }
    for key, value in (values | changes).items():
        if value is None or key == HUGGING_FACE_KEY:
            continue
        kind = gguf.GGUFValueType.UINT32 if type(value) is int else None
        if isinstance(value, list):
            writer.add_array(key, bytes(value) if key.endswith("charsmap") else value)
        else:
            writer.add_key_value(key, value, kind or gguf.GGUFValueType.get_type(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return read_tokenizer(_core.GgufFile(target))


@pytest.mark.parametrize("name", ["small_letters", "unigram", "pairs", "digits", "llama3"])
def test_the_tables_alone_give_the_same_ids(name: str, tmp_path: Path) -> None:
    makers.ALL[name](tmp_path)
    convert(tmp_path, tmp_path / "model.gguf", "f32")
    described = tokenizer_of(tmp_path / "model.gguf")
    alone = without_description(tmp_path / "model.gguf", tmp_path / "alone.gguf")
    for text in makers.some_texts(100):
        assert alone.encode(text) == described.encode(text), text
        assert alone.encode(text, allow_special=True) == described.encode(text, allow_special=True)
        assert alone.decode(alone.encode(text)) == described.decode(described.encode(text))


def test_a_pattern_without_a_name_here_is_refused(tmp_path: Path) -> None:
    makers.digits(tmp_path)
    convert(tmp_path, tmp_path / "model.gguf", "f32")
    with pytest.raises(UnsupportedError, match=r"alone\.gguf: .*pre is 'tekken', expected one of"):
        without_description(
            tmp_path / "model.gguf", tmp_path / "alone.gguf", **{"tokenizer.ggml.pre": "tekken"}
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokenizer.ggml.scores": None}, "scores is missing or not one for each"),
        ({"tokenizer.ggml.scores": [0.5]}, "scores is missing or not one for each"),
        ({"tokenizer.ggml.precompiled_charsmap": "text"}, "precompiled_charsmap is not bytes"),
        (
            {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 99_999},
            "bos_token",
        ),
    ],
)
def test_tables_that_contradict_themselves(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    makers.unigram(tmp_path)
    convert(tmp_path, tmp_path / "model.gguf", "f32")
    with pytest.raises(FormatError, match=words):
        without_description(tmp_path / "model.gguf", tmp_path / "alone.gguf", **changes)


@pytest.mark.parametrize("name", ["small_letters", "t5", "pairs", "digits", "llama3"])
def test_llama_cpp_reads_the_file_and_gives_the_same_ids(name: str, tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp")
    makers.ALL[name](tmp_path)
    report = convert(tmp_path, tmp_path / "model.gguf", "f32")
    assert report.warnings == []
    tokenizer = tokenizer_of(report.out)
    theirs = llama_cpp.Llama(str(report.out), vocab_only=True, verbose=False)
    for text in makers.CORPUS:
        ids = theirs.tokenize(text.encode(), add_bos=True, special=False)
        assert ids == tokenizer.encode(text), text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chinese", "small letters of capitals, which this tokenizer does not"),
        ("japanese", "keeps capitals"),
        ("unigram", "tokens of bytes"),
        ("gpt_neox", "does not normalize"),
        ("prefix_space", "no space before a text"),
    ],
)
def test_what_llama_cpp_does_otherwise_is_said(name: str, words: str, tmp_path: Path) -> None:
    makers.ALL[name](tmp_path)
    [warning] = convert(tmp_path, tmp_path / "model.gguf", "f32").warnings
    assert warning.startswith("llama.cpp ")
    assert words in warning


# ---- what does not go ----


def test_without_the_library_ids_still_become_texts(
    chinese: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = chinese.model.tokenizer.encode("天气")
    expected = chinese.model.generate(ids, max_tokens=5, seed=1)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    model = GPT2(chinese.model.path)
    with pytest.raises(MissingDependencyError, match=r"model\.gguf: .*pygpt2edge\[tokenizers\]"):
        model.generate("天气")
    assert model.tokenizer.decode(ids) == "[CLS] 天 气 [SEP]"
    assert model.generate(ids, max_tokens=5, seed=1).text == expected.text


def test_converting_takes_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    makers.chinese(tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match=r"vocab\.txt: .*pygpt2edge\[tokenizers\]"):
        convert(tmp_path, tmp_path / "out.gguf")


def test_compression_is_refused(chinese: Case) -> None:
    with pytest.raises(UnsupportedError, match=r'model is "bert", and to compress takes GPT-2'):
        chinese.model.compress(b"text")


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("chinese", {"tokenizer_class": "BertJapaneseTokenizer"}, "'BertJapaneseTokenizer'"),
        ("t5", {"tokenizer_class": "CpmTokenizer"}, "'CpmTokenizer', expected one of T5Tokenizer"),
    ],
)
def test_classes_that_do_more_than_their_files_say(
    tmp_path: Path, name: str, settings: dict[str, Any], words: str
) -> None:
    makers.ALL[name](tmp_path)
    makers.write_json(tmp_path / "tokenizer_config.json", settings)
    with pytest.raises(UnsupportedError, match=words):
        convert(tmp_path, tmp_path / "out.gguf")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("vocab.txt", b"\xff\xfe", "vocab.txt: not UTF-8"),
        ("vocab.txt", b"a\nb\n", r"vocab.txt: has no '\[UNK\]'"),
        ("spiece.model", b"\x0a\xff", "spiece.model: no SentencePiece model"),
        ("spiece.model", b"", "spiece.model: has no pieces"),
        (
            "tokenizer.json",
            b'{"model": {"type": "WordPiece"}}',
            "tokenizer.json: no tokenizer that",
        ),
        ("tokenizer.json", b'{"model": 7}', "tokenizer.json: no tokenizer that"),
        (
            "tokenizer.json",
            b'{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}',
            "tokenizer.json: the tokenizer is 'WordLevel'",
        ),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    makers.write_model(tmp_path, 300)
    (tmp_path / name).write_bytes(content)
    with pytest.raises((FormatError, UnsupportedError), match=words):
        convert(tmp_path, tmp_path / "out.gguf")


def test_descriptions_are_not_trusted(tmp_path: Path) -> None:
    """A file's tokenizer.json may be anything: that is an error of the file, when it is used."""
    makers.unigram(tmp_path)
    convert(tmp_path, tmp_path / "model.gguf", "f32")
    tables = tokenizer_of(tmp_path / "model.gguf").tables
    sound = _core.GgufFile(tmp_path / "model.gguf").value(HUGGING_FACE_KEY)
    damaged = [
        "", "{}", "[]", "null", '{"model": {"type": "Unigram"}}', "[" * 100_000,
        sound[: len(sound) // 2], sound.replace('"unk_id":0', '"unk_id":9999'),
        sound.replace("[", "{", 3), sound.replace('"precompiled_charsmap":"', '"_":"'),
        sound.replace('"precompiled_charsmap":"', '"precompiled_charsmap":"AAAA'),
        sound.replace('"vocab":[', '"vocab":[' + '["x",0.5],' * 999),
    ]  # fmt: skip
    for description in damaged:
        tokenizer = Tokenizer(tables, description)
        for allow_special in (False, True):
            with pytest.raises(FormatError, match=r"model\.gguf: "):
                tokenizer.encode("日本 x", allow_special=allow_special)
    with pytest.raises(UnsupportedError, match="to encode text takes GPT-2"):
        Tokenizer(tables).encode("text")


def some_change(draw: random.Random, content: Any) -> Any:
    """The content of a JSON file with one thing in it missing or of another kind."""
    at = content
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = draw.choice(keys)
        if not (isinstance(at[key], (dict, list)) and at[key] and draw.random() < 0.8):
            break
        at = at[key]
    if draw.random() < 0.25:
        del at[key]
    else:
        at[key] = draw.choice([None, True, -1, 10**12, 1.5, "", "x", "\ud800", [], {}, [["a", 1]]])
    return content


@pytest.mark.parametrize("name", ["saved_by_transformers", "llama3", "with_added_tokens"])
def test_changed_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    makers.ALL[name](tmp_path)
    paths = [tmp_path / each for each in ("tokenizer.json", "tokenizer_config.json")]
    sound = {path: json.loads(path.read_text()) for path in paths if path.exists()}
    n_vocab = json.loads((tmp_path / "config.json").read_text())["vocab_size"]
    draw, n_refused = random.Random(1), 0
    for _ in range(60):
        for path, content in sound.items():
            changed = some_change(draw, json.loads(json.dumps(content)))
            path.write_text(json.dumps(changed))
        try:
            read_hugging_face_vocabulary(tmp_path, n_vocab)
        except (FormatError, UnsupportedError) as error:
            n_refused += 1
            assert str(tmp_path) in str(error)
    assert 0 < n_refused < 60
