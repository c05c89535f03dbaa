"""`pygpt2edge generate`: writes text that continues a prompt."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli import several
from pygpt2edge.cli.generate_options import (
    NO_LIMIT,
    constraint_files,
    read_constraint_files,
    refuse_others,
    saving_options,
    several_options,
    text_options,
    text_params,
)
from pygpt2edge.cli.options import ModelSource, Run, Runtime, read_prompt, run_options
from pygpt2edge.cli.output import INTERRUPTED, memory_line, note, plural, print_json, print_table
from pygpt2edge.output_file import check_target

if TYPE_CHECKING:
    from pygpt2edge.generate.generation import Generation
    from pygpt2edge.generate.results import Completion
    from pygpt2edge.model import GPT2


@click.command("generate")
@click.argument("prompt", required=False)
@run_options(
    click.option("-p", "--prompt", "prompt_option", metavar="TEXT",
                 help="The prompt, as an option."),
    click.option("-f", "--file", "file", metavar="FILE", type=click.Path(),
                 help="Read the prompt from a file; a newline at its end is dropped."),
    text_options("length", "sampling"),
    text_options("constrained output"),
    constraint_files,
    several_options,
    text_options("context"),
    saving_options,
    text_options("speculative decoding"),
    click.option("--echo/--no-echo", " /--no-display-prompt", default=True,
                 help="Print the prompt before its continuation.  [default: echo]"),
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: Run,
    prompt: str | None,
    prompt_option: str | None,
    file: str | None,
    echo: bool,
    n: int,
    num_beams: int,
    save: str | None,
    resume: str | None,
    **given: Any,
) -> None:
    """Write text that continues PROMPT.

    The prompt and its continuation stream to stdout; timings go to stderr. "-" reads the prompt
    from stdin, as does no PROMPT at all when stdin is a pipe; a newline at its end is dropped. An
    empty prompt begins a new document. Ctrl-C stops at once and keeps the text so far. Several
    texts (--n) are printed when all are finished, with "---" between them.

    With --endless the context slides: when it is full, the next one continues with the last tokens
    of the text, without a pause. --save and --resume continue a text later, exactly as without an
    interruption: give the same model, -c and --kv-type, and -n for the number of new tokens.

    \b
    Examples:
      pygpt2edge generate "Once upon a time"
      pygpt2edge generate -m gpt2-xl.gguf -n 200 --seed 1 "The secret of a good tea is"
      pygpt2edge generate -m openai-community/gpt2 --temp 0 -f prompt.txt --stop "\\n\\n"
      cat letter.txt | pygpt2edge generate --no-echo -q > reply.txt
      pygpt2edge generate "Call me" --logprobs 5 --json
      pygpt2edge generate "Call me" --n 3 --num-beams 8
      pygpt2edge generate "Born in the year" --regex " 1[0-9]{3}\\."
      pygpt2edge generate -m gpt2-xl.gguf -md gpt2.gguf --endless --save tale.p2e "Long ago"
      pygpt2edge generate -m gpt2-xl.gguf --resume tale.p2e -n 500
    """
    options = _options(ctx, given)
    _check_files(ctx, save, resume, (prompt, prompt_option, file))
    several.check(ctx, n, num_beams)
    text = "" if resume is not None else _prompt(prompt, prompt_option, file)
    model = run.load()
    if options["draft_model"] is not None:
        source = ModelSource(options["draft_model"])
        options["draft_model"] = source.load(Runtime(run.runtime.n_threads))
    if n > 1 or num_beams > 1:
        completions, options = several.write(model, text, n, num_beams, options)
        _show_several(model, text, completions, options, echo=echo, run=run)
        return
    if resume is None:
        generation = model.stream(text, **options)
    else:
        how = {name: options[name] for name in ("max_tokens", *_DRAFTING)}
        generation = model.resume(resume, **how)
        options = asdict(generation.params) | how
        text = model.tokenizer.decode(generation.completion().prompt_tokens)
    so_far = text + generation.completion().text if echo and not run.as_json else ""
    n_ctx = math.inf if options["context_overflow"] == "slide" else model.n_ctx
    interrupted = _print_text(generation, so_far, n_ctx, not run.as_json)
    completion = generation.completion()
    if save is not None:
        _save(generation, Path(save))
    if run.as_json:
        print_json(_as_json(model, text, completion, options))
    elif options["logprobs"]:
        sys.stdout.flush()
        _print_logprobs(model, completion)
    drew_seed = resume is None and options["seed"] is None and options["temperature"] > 0
    note(_timings(model, completion, drew_seed), run.quiet)
    if interrupted:
        ctx.exit(INTERRUPTED)


def _show_several(
    model: GPT2,
    prompt: str,
    completions: list[Completion],
    options: dict[str, Any],
    *,
    echo: bool,
    run: Run,
) -> None:
    if run.as_json:
        each = [_as_json(model, prompt, one, options) | {"score": one.score} for one in completions]
        print_json(several.as_json(each))
        return
    several.show(completions, prompt if echo else "", run.quiet)
    for one in completions if options.get("logprobs") else ():
        _print_logprobs(model, one)


# Options that change the speed of a text, not its tokens.
_DRAFTING = ("draft_model", "prompt_lookup", "max_draft_tokens")
# Parameters that go with --resume; the others are those that the text was begun with.
_WITH_RESUME = {
    "model", "type_", "revision", "threads", "ctx_size", "kv_type", "max_tokens", "echo", "as_json",
    "quiet", "save", "resume", *_DRAFTING,
}  # fmt: skip


def _options(ctx: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """The options of `GPT2.stream`, but for the draft model, which is still a name."""
    if given.pop("endless"):
        given["context_overflow"] = "slide"
        if ctx.get_parameter_source("max_tokens") == click.core.ParameterSource.DEFAULT:
            given["max_tokens"] = NO_LIMIT
    read_constraint_files(given)
    return text_params(given)


def _check_files(
    ctx: click.Context, save: str | None, resume: str | None, prompts: tuple[str | None, ...]
) -> None:
    """Raises for files that cannot be saved or resumed, before the model is loaded."""
    if save is not None:
        if ctx.params["n"] > 1 or ctx.params["num_beams"] > 1:
            raise click.UsageError("--save saves one text: leave out --n and --num-beams")
        check_target(Path(save), 0)
    if resume is None:
        return
    if any(prompt is not None for prompt in prompts):
        raise click.UsageError("--resume continues the text in the file: give no prompt")
    why = "the text goes on with the options that it was begun with"
    refuse_others(ctx, _WITH_RESUME, "--resume", why)


def _save(generation: Generation, path: Path) -> None:
    """Saves the text, unless it has ended."""
    if generation.completion().finish_reason == "stop":
        note(f"The text has ended: {path} is not written", False)
        return
    generation.save(path)


def _prompt(prompt: str | None, prompt_option: str | None, file: str | None) -> str:
    given = [value for value in (prompt, prompt_option, file) if value is not None]
    if len(given) > 1:
        raise click.UsageError("give one of PROMPT, --prompt and --file")
    if file is None and given and given[0] != "-":
        return given[0]
    if not given and (sys.stdin is None or sys.stdin.isatty()):
        return ""
    return read_prompt("-" if file is None else file)


def _print_text(generation: Generation, prompt: str, n_ctx: float, shown: bool) -> bool:
    """Prints the pieces as they are generated. Returns whether Ctrl-C ended the text."""
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
    """The completion, its options and the model, for programs."""
    timings = completion.timings
    draft = options.get("draft_model")
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
        "options": options
        | {
            "seed": completion.seed,
            "logit_bias": biases,
            "draft_model": None if draft is None else str(draft.path),
        },
        "timings": {
            "load_s": timings.load_s,
            "prefill_tokens": timings.prefill_tokens,
            "prefill_s": timings.prefill_s,
            "prefill_tokens_per_s": timings.prefill_tokens_per_s,
            "decode_tokens": timings.decode_tokens,
            "decode_s": timings.decode_s,
            "decode_tokens_per_s": timings.decode_tokens_per_s,
            "decode_passes": timings.decode_passes,
            "draft_tokens": timings.draft_tokens,
            "accepted_tokens": timings.accepted_tokens,
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
    if took.draft_tokens:
        parts.append(
            f"draft {took.accepted_tokens} of {took.draft_tokens} tokens accepted, "
            f"{took.decode_tokens / took.decode_passes:.2f} tokens a pass"
        )
    if drew_seed:
        parts.append(f"seed {completion.seed}")
    return " | ".join(parts)
