"""`pygpt2edge generate`: writes text that continues a prompt."""

from __future__ import annotations

import math
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli import several
from pygpt2edge.cli.options import (
    ModelSource,
    Runtime,
    json_option,
    model_options,
    note_on_demo_model,
    number,
    read_text,
    runtime_options,
)
from pygpt2edge.cli.output import INTERRUPTED, memory_line, note, plural, print_json, print_table

if TYPE_CHECKING:
    from pygpt2edge import GPT2, Completion, Generation


# The least and the greatest positive number the sampler takes: those of a 32-bit float.
_MIN, _MAX = 1.2e-38, 3.4e38


def _logit_bias(text: str) -> tuple[int, float]:
    # 198=-inf, and as llama.cpp has it, 198-inf or 198+1.5
    match = re.fullmatch(r"(\d{1,9})(?:=|(?=[+-]))(\S+)", text)
    try:
        token, bias = int(match[1]), float(match[2])  # type: ignore[index]
    except (TypeError, ValueError):
        token, bias = 0, math.nan
    if not bias <= _MAX:
        raise click.BadParameter(
            f"{text!r} is not of the form ID=VALUE, such as 198=-1.5 or 198=-inf"
        )
    return token, bias


@click.command("generate")
@click.argument("prompt", required=False)
@model_options
@click.option("-p", "--prompt", "prompt_option", metavar="TEXT", help="The prompt, as an option.")
@click.option("-f", "--file", "file", metavar="FILE", type=click.Path(),
              help="Read the prompt from a file; a newline at its end is dropped.")  # fmt: skip
@click.option("-n", "--max-tokens", "--n-predict", metavar="N", default=64,
              type=number(int, -1, 2**31 - 1), show_default=True,
              help="Most tokens to write; -1 goes on until the context is full.")  # fmt: skip
@click.option("--temp", "--temperature", "temperature", metavar="X", type=number(float, 0, _MAX),
              default=0.8, show_default=True,
              help="Divides the logits; 0 always takes the most likely token.")  # fmt: skip
@click.option("--top-k", metavar="N", type=number(int, 0, 2**31 - 1), default=40, show_default=True,
              help="Keep the K most likely tokens; 0 keeps all.")  # fmt: skip
@click.option("--top-p", metavar="X", type=number(float, 0, 1), default=1.0, show_default=True,
              help="Keep the fewest tokens that hold this share of the probability.")  # fmt: skip
@click.option("--min-p", metavar="X", type=number(float, 0, 1), default=0.0, show_default=True,
              help="Keep tokens at least this likely relative to the most likely.")  # fmt: skip
@click.option("--repetition-penalty", "--repeat-penalty", metavar="X",
              type=number(float, _MIN, _MAX), default=1.0, show_default=True,
              help="Above 1 makes tokens of the text less likely to come again.")  # fmt: skip
@click.option("--logit-bias", metavar="ID=VALUE", type=_logit_bias, multiple=True,
              help="Add VALUE to a token's logit; -inf bans it. Repeatable.")  # fmt: skip
@click.option("-s", "--seed", metavar="N", type=number(int, -1, 2**64 - 1), default=-1,
              help="The same seed gives the same text on every machine; -1 draws one.  "
              "[default: -1]")  # fmt: skip
@click.option("--stop", "-r", "--reverse-prompt", metavar="TEXT", multiple=True,
              help="End at this text, which is not printed. Repeatable.")  # fmt: skip
@click.option("--ignore-eos", is_flag=True, help="Go on after an end-of-text token.")
@click.option("--allow-special", is_flag=True,
              help='Read "<|endoftext|>" in the prompt as the token, not as text.')  # fmt: skip
@click.option("--n", "n", metavar="N", type=number(int, 1, 2**31 - 1), default=1,
              show_default=True, help="How many texts to write, with the seeds from --seed on, or "
              "the N best of a beam search.")  # fmt: skip
@click.option("--num-beams", metavar="N", type=number(int, 1, 2**31 - 1), default=1,
              show_default=True, help="Above 1, search for the most probable text, keeping this "
              "many beginnings.")  # fmt: skip
@runtime_options
@click.option("--logprobs", metavar="N", type=number(int, 0, 2**31 - 1), default=0,
              help="Report each token's log-probability and the N most likely tokens: on stderr, "
              "or in the JSON.")  # fmt: skip
@click.option("--echo/--no-echo", " /--no-display-prompt", default=True,
              help="Print the prompt before its continuation.  [default: echo]")  # fmt: skip
@json_option
@click.option("-q", "--quiet", is_flag=True, help="No notes and no timings.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    source: ModelSource,
    runtime: Runtime,
    prompt: str | None,
    prompt_option: str | None,
    file: str | None,
    echo: bool,
    as_json: bool,
    quiet: bool,
    max_tokens: int,
    seed: int,
    n: int,
    num_beams: int,
    logit_bias: tuple[tuple[int, float], ...],
    **options: Any,
) -> None:
    """Write text that continues PROMPT.

    The prompt and its continuation stream to stdout; timings go to stderr. "-" reads the prompt
    from stdin, as does no PROMPT at all when something is piped in; a newline at its end is
    dropped. An empty prompt lets the model begin a text of its own. Ctrl-C stops at once and keeps
    the text so far. Several texts (--n) come when all are written, with "---" between them.

    \b
    Examples:
      pygpt2edge generate "Once upon a time"
      pygpt2edge generate -m gpt2-xl.gguf -n 200 --seed 1 "The secret of a good tea is"
      pygpt2edge generate -m openai-community/gpt2 --temp 0 -f prompt.txt --stop "\\n\\n"
      cat letter.txt | pygpt2edge generate --no-echo -q > reply.txt
      pygpt2edge generate "Call me" --logprobs 5 --json
      pygpt2edge generate "Call me" --n 3 --num-beams 8
    """
    text = _prompt(prompt, prompt_option, file)
    note_on_demo_model(source, quiet or as_json)
    model = source.load(runtime)
    options |= {
        "max_tokens": None if max_tokens == -1 else max_tokens,
        "seed": None if seed == -1 else seed,
        "logit_bias": dict(logit_bias),
        "stop": [_unescaped(stop) for stop in options["stop"]],
    }
    if n > 1 or num_beams > 1:
        completions, options = several.write(ctx, model, text, n, num_beams, options)
        if as_json:
            each = [
                _as_json(model, text, one, options) | {"score": one.score} for one in completions
            ]
            print_json(several.as_json(each))
        else:
            several.show(completions, text if echo else "", quiet)
            for one in completions if options.get("logprobs") else ():
                _print_logprobs(model, one)
        return
    generation = model.stream(text, **options)
    shows_prompt = echo and not as_json
    interrupted = _print_text(generation, text if shows_prompt else "", model.n_ctx, not as_json)
    completion = generation.completion()
    if as_json:
        print_json(_as_json(model, text, completion, options))
    elif options["logprobs"]:
        sys.stdout.flush()
        _print_logprobs(model, completion)
    note(_timings(model, completion, drew_seed=seed == -1 and options["temperature"] > 0),
         quiet or as_json)  # fmt: skip
    if interrupted:
        ctx.exit(INTERRUPTED)


def _prompt(prompt: str | None, prompt_option: str | None, file: str | None) -> str:
    given = [value for value in (prompt, prompt_option, file) if value is not None]
    if len(given) > 1:
        raise click.UsageError("give one of PROMPT, --prompt and --file")
    if file is None and given and given[0] != "-":
        return given[0]
    if not given and (sys.stdin is None or sys.stdin.isatty()):
        return ""
    text = read_text("-" if file is None else file)
    # The newline that ends a file's last line is no part of the text to continue.
    return text.removesuffix("\n").removesuffix("\r")


def _unescaped(stop: str) -> str:
    """Few shells make it easy to type a newline, so backslash n stands for one, and so on."""
    meanings = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
    return re.sub(r"\\[nt\\]", lambda match: meanings[match[0]], stop)


def _print_text(generation: Generation, prompt: str, n_ctx: int, shown: bool) -> bool:
    """Runs the generation, printing what comes. Returns whether Ctrl-C ended it."""
    ends_line = True

    def write(text: str) -> None:
        nonlocal ends_line
        if text and shown:
            ends_line = text.endswith("\n")  # before Ctrl-C can come between
            sys.stdout.write(text)
            sys.stdout.flush()

    try:
        if len(generation.completion().prompt_tokens) <= n_ctx:  # else there will be an error
            write(prompt)
        for piece in generation:
            write(piece.text)
    except KeyboardInterrupt:
        return True
    finally:
        if not ends_line:
            write("\n")
    return False


def _as_json(
    model: GPT2, prompt: str, completion: Completion, options: dict[str, Any]
) -> dict[str, Any]:
    """All there is to know, for programs. Temperature and such are under "options"."""
    timings = completion.timings
    biases = {
        str(token): bias if math.isfinite(bias) else str(bias)
        for token, bias in options.get("logit_bias", {}).items()
    }
    return {
        "prompt": prompt,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "stop_string": completion.stop_string,
        "tokens": completion.tokens,
        "prompt_tokens": completion.prompt_tokens,
        "logprobs": [
            {
                "token": chosen.token,
                "text": chosen.text,
                "logprob": chosen.logprob,
                "top": [
                    {"token": token, "text": model.tokenizer.decode([token]), "logprob": logprob}
                    for token, logprob in chosen.top
                ],
            }
            for chosen in completion.logprobs
        ],
        "seed": completion.seed,
        "options": options | {"seed": completion.seed, "logit_bias": biases},
        "timings": {
            "load_s": timings.load_s,
            "prefill_tokens": timings.prefill_tokens,
            "prefill_s": timings.prefill_s,
            "prefill_tokens_per_s": timings.prefill_tokens_per_s,
            "decode_tokens": timings.decode_tokens,
            "decode_s": timings.decode_s,
            "decode_tokens_per_s": timings.decode_tokens_per_s,
        },
        "model": {
            "path": str(model.path),
            "n_ctx": model.n_ctx,
            "kv_type": model.kv_type,
            "n_threads": model.n_threads,
            "isa": model.isa,
            "memory": model.memory,
        },
    }


def _print_logprobs(model: GPT2, completion: Completion) -> None:
    rows = [("token", "text", "logprob", "most likely")]
    for chosen in completion.logprobs:
        top = (f"{model.tokenizer.decode([token])!r} {value:.3f}" for token, value in chosen.top)
        rows.append((str(chosen.token), repr(chosen.text), f"{chosen.logprob:.3f}", "  ".join(top)))
    print_table(rows, "><><", err=True)


def _timings(model: GPT2, completion: Completion, drew_seed: bool) -> str:
    took = completion.timings
    parts = [
        f"prefill {plural(took.prefill_tokens, 'token')}, {took.prefill_tokens_per_s:,.0f} tok/s",
    ]
    if took.decode_tokens:  # the first new token comes from the prompt's own logits
        rate = f"{took.decode_tokens_per_s:,.1f} tok/s"
        parts.append(f"decode {plural(took.decode_tokens, 'token')}, {rate}")
    parts += [
        f"load {took.load_s:.2f} s",
        f"memory {memory_line(model.memory)}",
    ]
    if drew_seed:
        parts.append(f"seed {completion.seed}")
    return " | ".join(parts)
