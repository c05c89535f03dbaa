"""`pygpt2edge generate`: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pygpt2edge import GPT2

from .conftest import Run, one_line_error

PROMPT = "It is a truth universally acknowledged, that"


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2()


def test_streams_the_prompt_and_what_the_api_continues_it_with(spawn: Run, model: GPT2) -> None:
    done = spawn("generate", PROMPT, "--temp", "0", "-n", "12")
    expected = model.generate(PROMPT, temperature=0, max_tokens=12).text
    assert done.returncode == 0
    assert done.stdout.removesuffix("\n") == (PROMPT + expected).removesuffix("\n")
    note, timings = done.stderr.splitlines()
    assert "demo model" in note
    assert "-m openai-community/gpt2" in note
    n_prompt = len(model.tokenizer.encode(PROMPT))
    assert re.match(
        rf"prefill {n_prompt} tokens, [\d,]+ tok/s \| decode 11 tokens, [\d,.]+ tok/s \| "
        r"load [\d.]+ s \| memory [\d.]+ MB",
        timings,
    )


def test_a_seed_gives_the_same_text_and_is_told_when_drawn(run: Run) -> None:
    first = run("generate", PROMPT, "-n", "20")
    seed = re.search(r"seed (\d+)", first.stderr)
    assert seed is not None
    again = run("generate", PROMPT, "-n", "20", "-s", seed[1])
    other = run("generate", PROMPT, "-n", "20", "-s", str(int(seed[1]) ^ 1))
    assert again.stdout == first.stdout != other.stdout
    assert "seed" not in again.stderr


def test_json_has_everything(run: Run, model: GPT2) -> None:
    done = run(
        "generate", PROMPT, "--json", "-n", "9", "--temp", "0.7", "--top-k", "20", "--seed", "5",
        "--logprobs", "2", "--logit-bias", "198=-inf", "--logit-bias", "13+0.5",
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    result = json.loads(done.stdout)
    expected = model.generate(
        PROMPT, max_tokens=9, temperature=0.7, top_k=20, seed=5, logprobs=2,
        logit_bias={198: float("-inf"), 13: 0.5},
    )  # fmt: skip
    assert result["prompt"] == PROMPT
    assert result["text"] == expected.text
    assert result["tokens"] == expected.tokens
    assert 198 not in result["tokens"]
    assert result["prompt_tokens"] == expected.prompt_tokens
    assert result["finish_reason"] == "length"
    assert result["seed"] == 5
    assert [entry["logprob"] for entry in result["logprobs"]] == [
        entry.logprob for entry in expected.logprobs
    ]
    assert all(len(entry["top"]) == 2 for entry in result["logprobs"])
    assert result["options"]["logit_bias"] == {"198": "-inf", "13": 0.5}
    assert result["timings"]["prefill_tokens"] == len(expected.prompt_tokens)
    assert result["timings"]["decode_tokens_per_s"] > 0
    assert result["model"]["memory"] == model.memory


def test_logprobs_without_json_go_to_stderr(run: Run) -> None:
    done = run("generate", PROMPT, "-n", "3", "--temp", "0", "--logprobs", "2")
    plain = run("generate", PROMPT, "-n", "3", "--temp", "0")
    assert done.stdout == plain.stdout
    table = done.stderr.splitlines()[1:5]
    assert table[0].split() == ["token", "text", "logprob", "most", "likely"]
    # Greedy: the chosen token is the most likely one.
    for line in table[1:]:
        chosen, top = re.findall(r"-?\d+\.\d{3}", line)[:2]
        assert chosen == top


@pytest.mark.parametrize("way", ["argument", "option", "file", "stdin", "dash", "dash file"])
def test_ways_to_give_a_prompt(run: Run, tmp_path: Path, way: str) -> None:
    (tmp_path / "prompt.txt").write_text(PROMPT + "\n")
    args, text = {
        "argument": ([PROMPT], ""),
        "option": (["-p", PROMPT], ""),
        "file": (["-f", "prompt.txt"], ""),
        "stdin": ([], PROMPT + "\n"),
        "dash": (["-"], PROMPT + "\r\n"),
        "dash file": (["-f", "-"], PROMPT),
    }[way]
    done = run("generate", "--json", "-n", "1", "--temp", "0", *args, input=text)
    assert json.loads(done.stdout)["prompt"] == PROMPT


def test_an_empty_prompt_starts_a_document(run: Run) -> None:
    result = json.loads(run("generate", "--json", "-n", "2", "--temp", "0").stdout)
    assert result["prompt"] == ""
    assert result["prompt_tokens"] == [50256]


def test_no_echo_prints_the_continuation_alone(run: Run, model: GPT2) -> None:
    expected = model.generate(PROMPT, temperature=0, max_tokens=5).text.removesuffix("\n")
    for flag in ("--no-echo", "--no-display-prompt"):
        done = run("generate", PROMPT, "--temp", "0", "-n", "5", flag, "-q")
        assert done.stdout.removesuffix("\n") == expected
        assert done.stderr == ""


def test_a_stop_string_ends_the_text_before_it(run: Run, model: GPT2) -> None:
    text = model.generate(PROMPT, temperature=0.9, seed=3, max_tokens=40).text
    stop = text[17:20]  # seldom a token of its own
    done = run("generate", PROMPT, "--json", "--temp", "0.9", "-s", "3", "-n", "40",
               "--stop", "never seen", "--stop", stop)  # fmt: skip
    result = json.loads(done.stdout)
    assert result["finish_reason"] == "stop"
    assert result["stop_string"] == stop
    assert result["text"] == text[: text.index(stop)]


def test_a_stop_string_may_name_a_newline(run: Run) -> None:
    args = ("generate", PROMPT, "--json", "--temp", "0", "--logit-bias", "198=100", "-n", "4")
    assert json.loads(run(*args).stdout)["text"] == "\n\n\n\n"
    stopped = json.loads(run(*args, "--stop", r"\n\n").stdout)
    assert (stopped["text"], stopped["stop_string"]) == ("", "\n\n")


def test_goes_on_until_the_context_is_full(run: Run) -> None:
    done = run("generate", PROMPT, "--json", "-n", "-1", "-c", "30", "--ignore-eos", "-s", "1")
    result = json.loads(done.stdout)
    assert result["finish_reason"] == "length"
    # The last token needs no place of its own.
    assert len(result["prompt_tokens"]) + len(result["tokens"]) == 31


def test_end_of_text_is_text_unless_allowed(run: Run) -> None:
    args = ("generate", "<|endoftext|>", "--json", "-n", "1")
    assert 50256 not in json.loads(run(*args).stdout)["prompt_tokens"]
    assert json.loads(run(*args, "--allow-special").stdout)["prompt_tokens"] == [50256]


def test_a_prompt_that_does_not_fit_is_not_echoed(run: Run) -> None:
    done = run("generate", PROMPT, "-c", "4")
    message = one_line_error(done, 1)
    assert "context of 4" in message
    assert "too many" in message
    assert done.stdout == ""


def test_threads_and_cache_type_are_used(run: Run) -> None:
    used = json.loads(
        run("generate", PROMPT, "--json", "-n", "1", "-t", "1", "--kv-type", "f32").stdout
    )["model"]
    assert (used["n_threads"], used["kv_type"]) == (1, "f32")


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["--type", "q9", "x"], "q9"),
        (["--frobnicate", "x"], "--frobnicate"),
        (["--top-p", "1.5", "x"], "1.5"),
        (["--temp", "nan", "x"], "nan"),
        (["--temp", "warm", "x"], "warm"),
        (["-n", "-2", "x"], "-2"),
        (["-t", "0", "x"], "0"),
        (["--logit-bias", "5", "x"], "ID=VALUE"),
        (["--logit-bias", "5=inf", "x"], "ID=VALUE"),
        (["one", "two"], "two"),
        (["one", "-f", "two"], "--file"),
        (["--type", "q4_0", "x"], "hub name"),
    ],
)
def test_wrong_usage(run: Run, args: list[str], found: str) -> None:
    message = one_line_error(run("generate", *args), 2)
    assert found in message
    assert "pygpt2edge generate --help" in message


def test_a_missing_model(run: Run) -> None:
    message = one_line_error(run("generate", "-m", "no-such-model.gguf", "x"), 1)
    assert "no-such-model.gguf" in message
    assert "hub name" in message


@pytest.mark.parametrize("content", [b"", b"GGUF", b"hello, world" * 100])
def test_a_file_that_is_no_model(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.gguf").write_bytes(content)
    assert "bad.gguf" in one_line_error(run("generate", "-m", "bad.gguf", "x"), 1)


def test_a_prompt_that_is_not_utf8(run: Run, tmp_path: Path) -> None:
    (tmp_path / "latin1.txt").write_bytes("caf\u00e9".encode("latin-1"))
    message = one_line_error(run("generate", "-f", "latin1.txt"), 1)
    assert message.startswith("latin1.txt: byte 3 is 0xe9")
    assert "no-such-file.txt" in one_line_error(run("generate", "-f", "no-such-file.txt"), 1)


def test_a_bias_for_a_token_that_is_not_there(run: Run) -> None:
    done = run("generate", "Hello", "--logit-bias", "60000=1")
    assert "60000" in one_line_error(done, 1)


def test_a_terminal_without_the_characters_gets_question_marks(spawn: Run) -> None:
    done = spawn("generate", "na\u00efve", "-n", "1", "-q", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stdout.startswith("na?ve")


def test_debug_shows_where_an_error_came_from(spawn: Run) -> None:
    done = spawn("generate", "-m", "missing.gguf", "x", env={"PYGPT2EDGE_DEBUG": "1"})
    assert done.returncode == 1
    assert "Traceback" in done.stderr
