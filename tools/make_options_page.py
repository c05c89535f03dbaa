# ruff: noqa: E501  (lines of Markdown are longer)
"""Makes docs/options.md, the page of all options of a text.

    python tools/make_options_page.py [--out FILE]

Names, defaults, ranges and meanings are those of the table in pygpt2edge/options.py, and the order
of the steps is the one in csrc/generate/sampling/sampler.h. Run it after a change of either.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from pygpt2edge.options import Option, SamplingParams, option_of

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "options.md"
STEPS = ROOT / "csrc" / "generate" / "sampling" / "sampler.h"

HEAD = """\
# Options of a text

Made by `tools/make_options_page.py` from the table in `pygpt2edge/options.py`: change it there.

`GPT2.generate`, `stream` and `Engine.submit` take these options as keywords, as one `SamplingParams` that can
be used again, or both, where keywords win. `pygpt2edge generate` has them as flags. A value of another type or out of its
range is an error that names the option, the value and the range. The calls of other libraries are compared in
[For users of transformers, vLLM ...](api-comparison.md).

```python
from pygpt2edge import GPT2, SamplingParams

params = SamplingParams(temperature=0.7, top_p=0.95, max_tokens=100)
model = GPT2()
model.generate("Once upon a time", params, seed=1)
```

"0 or more" is up to 2^31 - 1 for whole numbers. Where Python has None for a number, the command line has -1. Options that
take several values are given several times there.
"""

ORDER = """\
## The order in which they act

From the logits to the token. A constraint comes before all of them: the others see only the tokens that it allows, and have
no say where only one text can follow. `csrc/generate/sampling/sampler.h` has the same list; where several libraries have a step, the order is
that of Hugging Face's transformers. The same options, seed and logits give the same token on every machine.

| step | acts on | source |
|---|---|---|
"""

GROUPS = {
    "length": ("Length", "When a text ends, and how its prompt is read."),
    "sampling": ("Sampling", "How the next token is chosen."),
    "constrained output": (
        "Constrained output",
        "Which texts may come at all: see [Constrained output](constrained-output.md).",
    ),
    "context": ("Context", "What happens when a text outgrows its context: see "
                "[Context overflow](context-overflow.md)."),
    "speculative decoding": (
        "Speculative decoding",
        "How fast a text comes, not what it says: see "
        "[Speculative decoding](speculative-decoding.md).",
    ),
}  # fmt: skip

# Step of sampler.h -> what it acts on, and where it comes from.
_DRY = "[p-e-w 2024](https://github.com/oobabooga/text-generation-webui/pull/5677), as llama.cpp"
_XTC = "[p-e-w 2024](https://github.com/oobabooga/text-generation-webui/pull/6335), as llama.cpp"
_NGRAM = "[Paulus et al. 2018](https://arxiv.org/abs/1705.04304), as transformers"
ABOUT = {
    "forced_first_token": (
        "the first token after the prompt; skips all other steps",
        "transformers (`forced_bos_token_id`)",
    ),
    "logits_processor": ("all logits", "transformers, vLLM (`logits_processors`)"),
    "logit_bias": ("the logits of its tokens", "OpenAI's API"),
    "repetition_penalty": (
        "tokens of prompt and text",
        "[Keskar et al. 2019](https://arxiv.org/abs/1909.05858)",
    ),
    "frequency_penalty": (
        "generated tokens",
        "OpenAI's API, vLLM; llama.cpp counts the prompt too",
    ),
    "presence_penalty": ("generated tokens", "OpenAI's API, vLLM; llama.cpp counts the prompt too"),
    "dry_*": ("tokens that would go on with a repetition in prompt and text", _DRY),
    "no_repeat_ngram_size": ("tokens that would repeat n tokens of prompt and text", _NGRAM),
    "min_tokens": (
        "tokens that end a text; stop strings do not count until then either",
        "vLLM; transformers (`min_new_tokens`), which has it for tokens only",
    ),
    "suppress_tokens": ("its tokens", "transformers"),
    "begin_suppress_tokens": ("its tokens, as the first after the prompt", "transformers"),
    "temperature": (
        "all logits; 0 takes the most likely token and skips the steps below",
        "softmax with a temperature",
    ),
    "top_k": ("the most likely", "[Fan et al. 2018](https://arxiv.org/abs/1805.04833)"),
    "top_p": ("what top_k left", "[Holtzman et al. 2020](https://arxiv.org/abs/1904.09751)"),
    "min_p": ("what is left", "[Nguyen et al. 2024](https://arxiv.org/abs/2407.01082)"),
    "typical_p": ("what is left", "[Meister et al. 2022](https://arxiv.org/abs/2202.00666)"),
    "xtc_*": (
        "what is left, after the temperature; llama.cpp's temperature comes last by default",
        _XTC,
    ),
    "one draw": (
        "what is left: each token has a random number, and the least number / probability wins",
        "[Daliri et al. 2024](https://arxiv.org/abs/2408.07978)",
    ),
}

TAIL = """
`penalty_last_n` (llama.cpp's `--repeat-last-n`) limits what the three penalties look at. `keep` and `discard` are llama.cpp's
`n_keep` and `n_discard`. Drafts are checked in one pass as in speculative decoding
([Leviathan et al. 2023](https://arxiv.org/abs/2211.17192)), but what counts as right is the very token that would have been
drawn, so that the text stays the same; `prompt_lookup` is
[Saxena 2023](https://github.com/apoorvumang/prompt-lookup-decoding).
"""


def steps(header: str) -> list[str]:
    """The names of the steps that sampler.h lists, in their order."""
    block = header[header.index("// The steps") : header.index("// The same options")]
    return re.findall(r"^//   (\w+(?:_\*| draw)?)(?=  |$)", block, re.M)


def allowed(option: Option) -> str:
    """The values that an option may have."""
    texts = {
        "flag": "True or False" + ("" if option.none is None else f", or None: {option.none}"),
        "texts": "a text or a list of texts",
        "tokens": "a list of token ids",
        "biases": "a dict of token id: number",
        "function": "a function or None",
        "model": "a loaded model or None",
        "source": "a text or None",
        "schema": "a dict, JSON text or None",
        "choice": ", ".join(f'`"{choice}"`' for choice in option.choices),
    }
    return texts.get(option.kind, option.range)


def row(each: Field[Any], option: Option) -> str:
    default = {} if each.default is MISSING else each.default
    flags = " ".join(f"`{flag}`" for flag in option.flags) or "Python only"
    cells = (f"`{each.name}`", flags, f"`{default!r}`", allowed(option), option.help)
    return f"| {' | '.join(cells)} |\n"


def page() -> str:
    options = [(each, option_of(each)) for each in fields(SamplingParams)]
    text = HEAD
    for name, (title, about) in GROUPS.items():
        text += f"\n## {title}\n\n{about}\n\n"
        text += "| option | command line | default | values | meaning |\n|---|---|---|---|---|\n"
        text += "".join(row(each, option) for each, option in options if option.group == name)
    names = steps(STEPS.read_text(encoding="utf-8"))
    if set(names) != set(ABOUT):
        differing = ", ".join(sorted(set(names) ^ set(ABOUT)))
        raise SystemExit(f"{STEPS.name} and this tool have different steps: {differing}")
    text += "\n" + ORDER
    for name in names:
        shown = name if " " in name else f"`{name}`"
        text += f"| {shown} | {' | '.join(ABOUT[name])} |\n"
    return text + TAIL


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT)
    parser.parse_args().out.write_text(page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
