"""The options of `pygpt2edge generate` that say how a text is written."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

import click

from pygpt2edge.cli.options import float_option, group, int_option

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


def refuse_others(
    ctx: click.Context, allowed: Collection[str], does_not_go_with: str, why: str
) -> None:
    """Raises UsageError for what the command line has and is not allowed beside an option."""
    for name in ctx.params:
        given = ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if given and name not in allowed:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} does not go with {does_not_go_with}: {why}")


sampling_options = group(
    int_option(
        "-n",
        "--max-tokens",
        "--n-predict",
        low=-1,
        default=64,
        help="Most tokens to write; -1 goes on until the context is full.",
    ),
    float_option(
        "--temp",
        "--temperature",
        "temperature",
        low=0,
        high=_MAX,
        default=0.8,
        help="Divides the logits; 0 always takes the most likely token.",
    ),
    int_option(
        "--top-k",
        low=0,
        default=40,
        help="Keep the K most likely tokens; 0 keeps all.",
    ),
    float_option(
        "--top-p",
        low=0,
        high=1,
        default=1.0,
        help="Keep the fewest tokens that hold this share of the probability.",
    ),
    float_option(
        "--min-p",
        low=0,
        high=1,
        default=0.0,
        help="Keep tokens at least this likely relative to the most likely.",
    ),
    float_option(
        "--repetition-penalty",
        "--repeat-penalty",
        low=_MIN,
        high=_MAX,
        default=1.0,
        help="Above 1 makes tokens of the text less likely to come again.",
    ),
    click.option(
        "--logit-bias",
        metavar="ID=VALUE",
        type=_logit_bias,
        multiple=True,
        help="Add VALUE to a token's logit; -inf bans it. Repeatable.",
    ),
    int_option(
        "-s",
        "--seed",
        low=-1,
        high=2**64 - 1,
        default=-1,
        help="The same seed gives the same text on every machine; -1 draws one.",
    ),
    click.option(
        "--stop",
        "-r",
        "--reverse-prompt",
        metavar="TEXT",
        multiple=True,
        help="End at this text, which is not printed. Repeatable.",
    ),
    click.option("--ignore-eos", is_flag=True, help="Go on after an end-of-text token."),
    click.option(
        "--allow-special",
        is_flag=True,
        help='Read "<|endoftext|>" in the prompt as the token, not as text.',
    ),
    int_option(
        "--n",
        "n",
        low=1,
        default=1,
        help="How many texts to write, with the seeds from --seed on, or "
        "the N best of a beam search.",
    ),
    int_option(
        "--num-beams",
        low=1,
        default=1,
        help="Above 1, search for the most probable text, keeping this many beginnings.",
    ),
)
context_options = group(
    click.option(
        "--context-overflow",
        type=click.Choice(["stop", "error", "slide"]),
        default="stop",
        show_default=True,
        help='What happens when the context is full. "slide" goes on, seeing the end of '
        "the text only; the prompt may then be longer than the context.",
    ),
    click.option(
        "--endless",
        is_flag=True,
        help="Go on until Ctrl-C or the model ends the text: --context-overflow slide, "
        "and -n -1 where -n is not given.",
    ),
    int_option(
        "--keep",
        low=1,
        default=512,
        help="How many of the last tokens a new context begins with, when it slides; half "
        "of a shorter context.",
    ),
    int_option(
        "--pin",
        low=0,
        default=0,
        help="How many of the prompt's first tokens every context begins with, when it slides.",
    ),
    click.option(
        "--save",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Save the text at its end, or at Ctrl-C, so that --resume goes on exactly there.",
    ),
    click.option(
        "--resume",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Go on with a saved text, with the options that it was begun with.",
    ),
)
guessing_options = group(
    click.option(
        "--draft",
        "-md",
        "--model-draft",
        metavar="MODEL",
        help="A smaller model of the same vocabulary, such as gpt2 for gpt2-xl, that "
        "guesses tokens: the same text, faster.",
    ),
    click.option(
        "--prompt-lookup",
        is_flag=True,
        help="Guess that the text repeats itself: the same text, faster where it does.",
    ),
    int_option(
        "--max-guesses",
        "--draft-max",
        low=1,
        high=15,
        default=15,
        help="Most tokens to guess at a time.",
    ),
)
