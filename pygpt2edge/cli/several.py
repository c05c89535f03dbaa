"""Several texts of `pygpt2edge generate`, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.generate_options import refuse_others
from pygpt2edge.cli.output import note

if TYPE_CHECKING:
    from pygpt2edge.generate.results import Completion
    from pygpt2edge.model import GPT2

# Options that beam search has too. The others are of sampling.
_OF_BEAMS = ("max_tokens", "stop", "ignore_eos", "allow_special", "add_special_tokens")
# Parameters of the command that are no options of the text.
_NEUTRAL = {
    "model", "type_", "revision", "threads", "ctx_size", "kv_type", "prompt", "prompt_option",
    "file", "echo", "as_json", "quiet", "n", "num_beams",
}  # fmt: skip


def check(ctx: click.Context, n: int, num_beams: int) -> None:
    """Raises UsageError for options that do not go together."""
    if num_beams == 1:
        return
    why = (
        "beam search draws no tokens, and takes --max-tokens, --stop, --ignore-eos and "
        "--allow-special"
    )
    refuse_others(ctx, _NEUTRAL.union(_OF_BEAMS), "--num-beams", why)
    if n > num_beams:
        raise click.UsageError(f"--n is {n}; of {num_beams} beams there are 1 to {num_beams} texts")


def write(
    model: GPT2, prompt: str, n: int, num_beams: int, options: dict[str, Any]
) -> tuple[list[Completion], dict[str, Any]]:
    """The texts, and the options that they were written with."""
    if num_beams == 1:
        return model.generate(prompt, n=n, **options), options
    options = {name: options[name] for name in _OF_BEAMS} | {"num_beams": num_beams}
    return model.beam_search(prompt, n=n, **options), options


def show(completions: Sequence[Completion], prompt: str, quiet: bool) -> None:
    """Prints the texts with "---" between them, and their seeds or scores on stderr."""
    for i, completion in enumerate(completions):
        if i > 0:
            sys.stdout.write("---\n")
        text = prompt + completion.text
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stdout.flush()
        if completion.score is None:
            note(f"seed {completion.seed}", quiet)
        else:
            note(f"score {completion.score:.4f}", quiet)


def as_json(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One object for all texts, with their common fields once."""
    common = ("prompt", "prompt_tokens", "options", "model")
    texts = [{name: one[name] for name in one if name not in common} for one in each]
    return {name: each[0][name] for name in common} | {"completions": texts}
