"""Checkpoints with tokenizers that are not GPT-2's, trained by the libraries that they are of.

Importing this module needs tokenizers, sentencepiece and transformers: tests do so by
pytest.importorskip.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from safetensors.numpy import save_file
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer, PreTrainedTokenizerFast

CORPUS = [
    "It was the best of times, it was the worst of times; it was the age of wisdom!",
    "She didn't know what to say, so she didn't say anything at all. \"Why?\" he asked.",
    "In 1984 there were 12,345 people in the city, and 6789 of them came to the fair.",
    "这是很久之前的事情了、我们曾经在一起生活、今天天气很好。",
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "Привет, мир! Сегодня хорошая погода, и мы идём гулять в парк.",
    "Çok güzel bir gün; naïve café, Ångström, Straße, œuvre, déjà vu.",
    "def f(x):\n    return x + 1\n\n\tfor i in range(10):  print(i)",
]  # fmt: skip

_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz", "ABCXYZ", "0123456789", " ", "  \t\n\r", ".,;:!?'\"()[]<>#-_/@",
    "áéîöüñçßÆœ", "абвгдежзиклмнопрстуфхцчшщыэюя", "这是很久之前的事情我们今天天气",
    "吾輩は猫であるカタカナ゛ｶﾞ", "한국어", "अआइक्ष", "مرحبا", "שלום", "ไทย",
    "😀👩\u200d👧🇩🇪", "ﬁ①Ⅳ㍿", "e\u0301a\u0308", "\u200b\u00a0\u3000\u2028",
    "\x00\x01\x7f\x85\ufeff", "▁", "\ud7a3\U0001f9ff\U0010ffff",
)  # fmt: skip
_WORDS = (
    "the ", " times", "didn't", "ing", " 1984", "天气", "である", "мир", "<s>", "</s>", "[SEP]",
    "[CLS]", "<unk>", "<|endoftext|>", " ,", " .", "##s", "  ", "\n\n",
)  # fmt: skip


def some_texts(n: int, seed: int = 5) -> Iterator[str]:
    """Letters of many scripts, blanks, controls, emoji, and the names of special tokens."""
    draw = random.Random(seed)
    yield from ("", " ", "  ", "\n", *CORPUS)
    for _ in range(n):
        parts = []
        for _ in range(draw.randint(1, 12)):
            if draw.random() < 0.4:
                parts.append(draw.choice(_WORDS))
            else:
                letters = draw.choice(_ALPHABETS)
                parts.append("".join(draw.choices(letters, k=draw.randint(1, 6))))
        yield "".join(parts)


def write_model(folder: Path, n_vocab: int, **config: Any) -> None:
    """A GPT-2 of random weights, with a head that makes texts of many tokens."""
    n_embd, n_ctx, n_layer = 32, 128, 2
    numbers = np.random.RandomState(3)

    def drawn(*shape: int) -> np.ndarray:
        return (numbers.standard_normal(shape) * 0.3).astype(np.float32)

    weights = {"wte.weight": drawn(n_vocab, n_embd), "wpe.weight": drawn(n_ctx, n_embd)}
    shapes = {"attn.c_attn": (32, 96), "attn.c_proj": (32, 32), "mlp.c_fc": (32, 128),
              "mlp.c_proj": (128, 32)}  # fmt: skip
    norms = ["ln_f", *(f"h.{i}.{name}" for i in range(n_layer) for name in ("ln_1", "ln_2"))]
    for norm in norms:
        weights[f"{norm}.weight"] = np.ones(n_embd, np.float32)
        weights[f"{norm}.bias"] = drawn(n_embd)
    for i in range(n_layer):
        for name, shape in shapes.items():
            weights[f"h.{i}.{name}.weight"] = drawn(*shape)
            weights[f"h.{i}.{name}.bias"] = drawn(shape[1])
    save_file(weights, folder / "model.safetensors")
    shape = {"vocab_size": n_vocab, "n_positions": n_ctx, "n_embd": n_embd, "n_layer": n_layer,
             "n_head": 4, "model_type": "gpt2"}  # fmt: skip
    write_json(folder / "config.json", shape | config)


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


# ---- WordPiece ----


def chinese(folder: Path, *, do_lower_case: bool = False) -> None:
    """As uer/gpt2-chinese-cluecorpussmall is given away: a vocab.txt and a few settings."""
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.normalizer = normalizers.BertNormalizer(lowercase=do_lower_case)
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained.train_from_iterator(
        CORPUS * 3, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special)
    )
    ids = trained.get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(ids, key=ids.__getitem__)) + "\n", "utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": do_lower_case}
    write_json(folder / "tokenizer_config.json", settings)
    write_model(folder, len(ids) + 1)


def with_added_tokens(folder: Path) -> None:
    """The same with a token that was added for training, and one that is special."""
    chinese(folder)
    n = len((folder / "vocab.txt").read_text("utf-8").splitlines())
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    settings = {
        "tokenizer_class": "BertTokenizer", "do_lower_case": False,
        "additional_special_tokens": ["<s>"],
        "added_tokens_decoder": {str(n): {"content": "didn't", "special": False} | flags},
    }  # fmt: skip
    write_json(folder / "tokenizer_config.json", settings)
    write_model(folder, n + 2)


def small_letters(folder: Path) -> None:
    chinese(folder, do_lower_case=True)


def saved_by_transformers(folder: Path) -> None:
    """The same with a tokenizer.json, which transformers writes."""
    chinese(folder)
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    (folder / "vocab.txt").unlink()


# ---- SentencePiece ----


def sentence_pieces(folder: Path, name: str, **options: Any) -> int:
    """Trains a model; returns how many pieces it has."""
    written = io.BytesIO()
    settings = {"vocab_size": 320, "character_coverage": 1.0, "hard_vocab_limit": False,
                "minloglevel": 2} | options  # fmt: skip
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3), model_writer=written, **settings
    )
    (folder / name).write_bytes(written.getvalue())
    return len(sentencepiece.SentencePieceProcessor(model_proto=written.getvalue()))


def t5(folder: Path) -> None:
    """Unigram, of the class T5Tokenizer and with T5's first ids."""
    n = sentence_pieces(folder, "spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    settings = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "eos_token": "</s>",
                "unk_token": "<unk>", "pad_token": "<pad>"}  # fmt: skip
    write_json(folder / "tokenizer_config.json", settings)
    write_model(folder, n, eos_token_id=1, bos_token_id=1)


def japanese(folder: Path) -> None:
    """As rinna/japanese-gpt2-medium is given away: T5Tokenizer over other ids, "<unk>" the first,
    and small letters."""
    special = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    n = sentence_pieces(folder, "spiece.model", control_symbols=special)
    settings = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "do_lower_case": True,
                "eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<s>", "pad_token": "[PAD]",
                "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}  # fmt: skip
    write_json(folder / "tokenizer_config.json", settings)
    write_model(folder, n, eos_token_id=2, bos_token_id=1)


def write_plain_class(folder: Path, n: int) -> None:
    """The settings of no class of its own, and a model of n tokens."""
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>",
                "eos_token": "</s>", "unk_token": "<unk>"}  # fmt: skip
    write_json(folder / "tokenizer_config.json", settings)
    write_model(folder, n, eos_token_id=2, bos_token_id=1)


def unigram(folder: Path) -> None:
    """SentencePiece's own way, with bytes for what has no piece."""
    n = sentence_pieces(folder, "tokenizer.model", byte_fallback=True, vocab_size=560)
    write_plain_class(folder, n)


def pairs(folder: Path) -> None:
    """SentencePiece's byte-pair encoding, which keeps all blanks and cuts out a piece whole."""
    n = sentence_pieces(
        folder, "tokenizer.model", model_type="bpe", byte_fallback=True, vocab_size=560,
        remove_extra_whitespaces=False, normalization_rule_name="identity",
        user_defined_symbols=["<turn>", "  "],
    )  # fmt: skip
    write_plain_class(folder, n)


def swedish(folder: Path) -> None:
    """As AI-Sweden-Models/gpt-sw3-126m is given away."""
    n = sentence_pieces(
        folder, "spiece.model", model_type="bpe", byte_fallback=True, vocab_size=560,
        eos_piece="<|endoftext|>", pad_id=3, normalization_rule_name="identity",
    )  # fmt: skip
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "GPTSw3Tokenizer"})
    write_model(folder, n, eos_token_id=2, bos_token_id=1)


# ---- byte-level BPE, cut by other patterns ----


def _bytes(folder: Path, change: Callable[[Tokenizer], None], **settings: Any) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    change(tokenizer)
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
    )  # fmt: skip
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.add_tokens([AddedToken("  ", normalized=True), AddedToken("<turn>")])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>", **settings
    ).save_pretrained(folder)
    end = tokenizer.token_to_id("<|endoftext|>")
    write_model(folder, tokenizer.get_vocab_size(), bos_token_id=end, eos_token_id=end)


def gpt_neox(folder: Path) -> None:
    """GPT-2's pattern over normalized text, as GPT-NeoX has it."""

    def change(tokenizer: Tokenizer) -> None:
        tokenizer.normalizer = normalizers.NFC()

    _bytes(folder, change)


def digits(folder: Path) -> None:
    def change(tokenizer: Tokenizer) -> None:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True),
             pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )  # fmt: skip

    _bytes(folder, change)


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def llama3(folder: Path) -> None:
    """Llama 3's pattern, and a token before every text."""

    def change(tokenizer: Tokenizer) -> None:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
             pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )  # fmt: skip
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
        )

    _bytes(folder, change)


def prefix_space(folder: Path) -> None:
    def change(tokenizer: Tokenizer) -> None:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)

    _bytes(folder, change)


ALL: dict[str, Callable[[Path], None]] = {
    make.__name__: make
    for make in (
        chinese, small_letters, with_added_tokens, saved_by_transformers, t5, japanese, unigram,
        pairs, swedish, gpt_neox, digits, llama3, prefix_space,
    )
}  # fmt: skip
