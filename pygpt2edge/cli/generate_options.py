"""The options of `pygpt2edge generate` that say how a text is written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import click

from pygpt2edge.cli.options import number

Command = TypeVar("Command", bound=Callable[..., Any])

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


def _group(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator of several, in the order in which --help lists them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def refuse_others(
    ctx: click.Context, allowed: Collection[str], does_not_go_with: str, why: str
) -> None:
    """Raises UsageError for what the command line has and is not allowed beside an option."""
    for name in ctx.params:
        given = ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if given and name not in allowed:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} does not go with {does_not_go_with}: {why}")


sampling_options = _group(
    click.option(
        "-n",
        "--max-tokens",
        "--n-predict",
        metavar="N",
        default=64,
        type=number(int, -1, 2**31 - 1),
        show_default=True,
        help="Most tokens to write; -1 goes on until the context is full.",
    ),
    click.option(
        "--temp",
        "--temperature",
        "temperature",
        metavar="X",
        type=number(float, 0, _MAX),
        default=0.8,
        show_default=True,
        help="Divides the logits; 0 always takes the most likely token.",
    ),
    click.option(
        "--top-k",
        metavar="N",
        type=number(int, 0, 2**31 - 1),
        default=40,
        show_default=True,
        help="Keep the K most likely tokens; 0 keeps all.",
    ),
    click.option(
        "--top-p",
        metavar="X",
        type=number(float, 0, 1),
        default=1.0,
        show_default=True,
        help="Keep the fewest tokens that hold this share of the probability.",
    ),
    click.option(
        "--min-p",
        metavar="X",
        type=number(float, 0, 1),
        default=0.0,
        show_default=True,
        help="Keep tokens at least this likely relative to the most likely.",
    ),
    click.option(
        "--repetition-penalty",
        "--repeat-penalty",
        metavar="X",
        type=number(float, _MIN, _MAX),
        default=1.0,
        show_default=True,
        help="Above 1 makes tokens of the text less likely to come again.",
    ),
    click.option(
        "--logit-bias",
        metavar="ID=VALUE",
        type=_logit_bias,
        multiple=True,
        help="Add VALUE to a token's logit; -inf bans it. Repeatable.",
    ),
    click.option(
        "-s",
        "--seed",
        metavar="N",
        type=number(int, -1, 2**64 - 1),
        default=-1,
        help="The same seed gives the same text on every machine; -1 draws one.  [default: -1]",
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
    click.option(
        "--n",
        "n",
        metavar="N",
        type=number(int, 1, 2**31 - 1),
        default=1,
        show_default=True,
        help="How many texts to write, with the seeds from --seed on, or "
        "the N best of a beam search.",
    ),
    click.option(
        "--num-beams",
        metavar="N",
        type=number(int, 1, 2**31 - 1),
        default=1,
        show_default=True,
        help="Above 1, search for the most probable text, keeping this many beginnings.",
    ),
)
context_options = _group(
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
    click.option(
        "--keep",
        metavar="N",
        type=number(int, 1, 2**31 - 1),
        default=512,
        show_default=True,
        help="How many of the last tokens a new context begins with, when it slides; half "
        "of a shorter context.",
    ),
    click.option(
        "--pin",
        metavar="N",
        type=number(int, 0, 2**31 - 1),
        default=0,
        show_default=True,
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
guessing_options = _group(
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
    click.option(
        "--max-guesses",
        "--draft-max",
        metavar="N",
        type=number(int, 1, 15),
        default=15,
        show_default=True,
        help="Most tokens to guess at a time.",
    ),
)
