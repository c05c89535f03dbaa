"""`pygpt2edge generate` beyond one prompt and one context: endless, saved, resumed, speculative."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from pygpt2edge import GPT2, demo_model_path

from .conftest import Run, Start, one_line_error

PROMPT = "It is a truth universally acknowledged, that"


def text_of(run: Run, *args: str | Path) -> str:
    done = run("generate", *args, "-q")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sliding_context(run: Run) -> None:
    args = [PROMPT, "-c", "64", "-n", "150", "--seed", "4", "--ignore-eos", "--no-echo"]
    expected = GPT2(n_ctx=64).generate(
        PROMPT,
        max_tokens=150,
        seed=4,
        ignore_eos=True,
        context_overflow="slide",
        keep=5,
        discard=39,
    )
    found = text_of(run, *args, "--context-overflow", "slide", "--keep", "5", "--discard", "39")
    assert found.rstrip("\n") == expected.text.rstrip("\n")
    assert text_of(run, *args, "--endless", "--keep", "5", "--discard", "39") == found
    assert len(text_of(run, *args)) < len(found)
    failed = run("generate", *args, "--context-overflow", "error")
    assert failed.returncode == 1
    assert "is full" in failed.stderr


def test_endless_goes_on_until_it_is_interrupted_and_can_be_resumed(
    run: Run, start: Start, tmp_path: Path
) -> None:
    how = ["-c", "64", "--seed", "4", "--ignore-eos"]
    process = start("generate", PROMPT, *how, "--endless", "--save", "tale", "-q")
    assert process.stdout is not None
    written = b""
    while len(written) < 2000:  # several contexts
        written += process.stdout.read1()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    text = (written + rest).decode().removesuffix("\n")
    resumed = text_of(run, "--resume", "tale", "-c", "64", "-n", "30")
    assert resumed.startswith(text)
    assert len(resumed) > len(text)
    n = len(GPT2().tokenizer.encode(resumed)) + 40  # however the tokens are cut
    whole = text_of(run, PROMPT, *how, "--context-overflow", "slide", "-n", str(n))
    assert whole.startswith(resumed.removesuffix("\n"))


def test_saved_and_resumed(run: Run, tmp_path: Path) -> None:
    how = [PROMPT, "--seed", "1", "--ignore-eos", "--temp", "1.1"]
    first = text_of(run, *how, "-n", "10", "--save", "tale")
    second = text_of(run, "--resume", "tale", "-n", "15", "--save", "tale")
    third = json.loads(run("generate", "--resume", "tale", "-n", "15", "--json").stdout)
    whole = text_of(run, *how, "-n", "40")
    assert whole.startswith(first.removesuffix("\n"))
    assert whole.startswith(second.removesuffix("\n"))
    assert (PROMPT + third["text"]).rstrip("\n") == whole.rstrip("\n")
    assert third["options"]["temperature"] == 1.1
    assert third["timings"]["prefill_tokens"] == 0


def test_a_text_at_its_end_is_not_saved(run: Run, tmp_path: Path) -> None:
    done = run("generate", PROMPT, "--seed", "1", "--stop", " a", "-n", "200", "--save", "tale")
    assert done.returncode == 0
    assert "has ended: tale is not written" in done.stderr
    assert not (tmp_path / "tale").exists()


def test_drafts_leave_the_text_as_it_is(run: Run, demo_in_f32: Path) -> None:
    args = [PROMPT, "-n", "40", "--seed", "1", "--ignore-eos", "-m", str(demo_in_f32)]
    plain = text_of(run, *args)
    draft = demo_model_path()
    assert text_of(run, *args, "--draft", draft) == plain
    assert text_of(run, *args, "--prompt-lookup", "--max-draft-tokens", "3") == plain
    done = json.loads(run("generate", *args, "--draft", draft, "--json").stdout)
    assert (PROMPT + done["text"]).rstrip("\n") == plain.rstrip("\n")
    assert done["options"]["draft_model"] == str(draft)
    timings = done["timings"]
    assert 0 < timings["accepted_tokens"] <= timings["draft_tokens"]
    assert timings["decode_passes"] + timings["accepted_tokens"] == timings["decode_tokens"] == 39
    told = run("generate", *args, "--draft", draft).stderr
    assert f"of {timings['draft_tokens']} tokens accepted" in told or "tokens a pass" in told


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["--resume", "x", PROMPT], "give no prompt"),
        (["--resume", "x", "--n", "2"], "--n does not go with --resume"),
        (["--resume", "x", "--temp", "1"], "--temperature does not go with --resume"),
        ([PROMPT, "--save", "x", "--num-beams", "2"], "leave out --n and --num-beams"),
        ([PROMPT, "--context-overflow", "grow"], "'grow' is not one of 'stop', 'error', 'slide'"),
        ([PROMPT, "--discard", "0"], "discard is 0; give 1"),
        ([PROMPT, "--draft-max", "16"], "16 is out of range, expected 1 to 15"),
    ],
)
def test_wrong_usage(run: Run, args: list[str], what: str) -> None:
    assert what in one_line_error(run("generate", *args), 2)


def test_what_cannot_be_done(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"p2etext1" + bytes(50))
    assert "broken: " in one_line_error(run("generate", "--resume", "broken"), 1)
    assert "No such file" in one_line_error(run("generate", "--resume", "none"), 1)
    assert "folder of the output is missing" in one_line_error(
        run("generate", PROMPT, "--save", "no/tale"), 1
    )
    start = time.monotonic()
    assert "none.gguf" in one_line_error(run("generate", PROMPT, "--draft", "none.gguf"), 1)
    assert time.monotonic() - start < 30
