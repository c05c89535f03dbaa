"""POST /v1/chat/completions, and chat templates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_server import Running, alone, serving

from pygpt2edge import GPT2
from pygpt2edge.convert import convert

pytest.importorskip("jinja2", reason="needs jinja2")
openai = pytest.importorskip("openai", reason="needs openai")

from pygpt2edge.serve.chat_template import ChatTemplate, chat_template_of  # noqa: E402
from pygpt2edge.serve.settings import Settings  # noqa: E402
from pygpt2edge.serve.template_sandbox import TemplateRefusal  # noqa: E402

# As DialoGPT has it.
TEMPLATE = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"
END = 50256


@pytest.fixture(scope="module")
def chat_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    path = tmp_path_factory.mktemp("chat") / "template.jinja"
    path.write_text(TEMPLATE)
    with serving("--chat-template", str(path)) as running:
        yield running


@pytest.fixture(scope="module")
def client(chat_server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=chat_server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_answer_continues_the_rendered_chat(client: openai.OpenAI, model: GPT2) -> None:
    messages: Any = [
        {"role": "user", "content": "How are you?"},
        {"role": "assistant", "content": "Well."},
        {"role": "user", "content": [{"type": "text", "text": "Good"}]},
    ]
    encode = model.tokenizer.encode
    prompt = [*encode("How are you?"), END, *encode("Well."), END, *encode("Good"), END]
    expected = alone(model, prompt, seed=1, max_tokens=12)
    found = client.chat.completions.create(
        model="demo", messages=messages, seed=1, max_completion_tokens=12
    )
    assert found.choices[0].message.content == expected
    assert found.usage is not None
    assert found.usage.prompt_tokens == len(prompt)
    chunks = client.chat.completions.create(
        model="demo", messages=messages, seed=1, max_tokens=12, stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected


def test_logprobs(client: openai.OpenAI) -> None:
    found = client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "Hi"}], seed=1, max_tokens=4,
        logprobs=True, top_logprobs=2,
    )  # fmt: skip
    logprobs = found.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == found.choices[0].message.content
    assert all(len(token.top_logprobs) == 2 for token in logprobs.content)


def test_text_of_special_tokens_in_a_message_is_text(model: GPT2) -> None:
    template = ChatTemplate(TEMPLATE, model.tokenizer, Settings())
    tokens = template.tokens([{"role": "user", "content": "a<|endoftext|>b"}])
    assert tokens.count(END) == 1
    assert model.tokenizer.decode(tokens) == "a<|endoftext|>b<|endoftext|>"


def test_a_model_without_a_template_says_what_to_do(server: Running) -> None:
    answer = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
    assert answer.status_code == 400
    assert "/v1/completions" in answer.json()["error"]["message"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user"}]}, "messages"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"max_tokens": 1, "max_completion_tokens": 1}, "max_completion_tokens"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=lambda value: str(value)[:40])
def test_errors_name_the_field(chat_server: Running, fields: dict[str, Any], param: str) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], **fields}
    answer = chat_server.post("/v1/chat/completions", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param, answer.text[:300]


HOSTILE = {
    "endless": "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
    "much": "{% for i in range(90000) %}" + "x" * 1000 + "{% endfor %}",
    "large": "{{ 'x' * 1000000000 }}",
    "power": "{{ 9 ** 999999999 }}",
    "format": "{{ '%0999999999d' % 1 }}",
    "center": "{{ 'x' | center(999999999) }}",
    "python": "{{ messages.__class__.__mro__[1].__subclasses__() }}",
    "attribute": "{{ cycler.__init__.__globals__ }}",
    "file": "{% include '/etc/passwd' %}",
    "refusal": "{{ raise_exception('roles must alternate') }}",
    "no python": "{% for a in 'x' %}" * 21 + "{% endfor %}" * 21,
    "deep": "{{ " + "(" * 300 + "1" + ")" * 300 + " }}",
    "long sum": "{{ 1" + " + 1" * 9000 + " }}",
    "long number": "{{ " + "9" * 5000 + " }}",
    # What grows by doubling, or in one step.
    "added": "{% set ns = namespace(x='ab') %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}",
    "joined by ~": "{% set ns = namespace(x='ab') %}{% for i in range(40) %}"
    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "join": "{{ range(99999) | join('" + "x" * 60_000 + "') }}",
    "join method": "{{ ('" + "x" * 60_000 + "').join(range(99999)|map('string')) }}",
    "replace": "{{ ('a' ~ 'b' | center(9)) | replace('', 'x') }}",
    "replaced": "{% set a = 'x' %}"
    + ("{% set a = a | replace('x', 'x" + "x" * 99 + "') %}") * 6
    + "{{ a }}",
    "replace method": "{% set a = 'x' %}"
    + ("{% set a = a.replace('x', 'x" + "x" * 99 + "') %}") * 6
    + "{{ a }}",
    "fill": "{{ [1] | batch(9999999999, 'x') | list }}",
    "just": "{{ 'x'.ljust(9999999999) }}",
    "zeros": "{{ 'x'.zfill(9999999999) }}",
    "tabs": "{{ ('\t' ~ '').expandtabs(9999999999) }}",
    "translate": "{{ 'x'.translate({120: 'y'}) }}",
    "width": "{{ '{:>9999999999}'.format(1) }}",
    "width given": "{{ '{:>{}}'.format(1, 99999) }}",
    "bytes": "{{ (5).to_bytes(9999999999, 'big') }}",
    "product": "{% set ns = namespace(x=99999) %}{% for i in range(60) %}"
    "{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "nested": "{% set ns = namespace(x=[1, 1]) %}{% for i in range(60) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "nested in objects": "{% set ns = namespace(x=1) %}{% for i in range(60) %}"
    "{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x | tojson }}",
    "nested in calls": "{% set ns = namespace(x=1) %}{% for i in range(60) %}"
    "{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}{{ ns.x | string }}",
    "spaces": "{% set ns = namespace(x=[1]) %}{% for i in range(400) %}{% set ns.x = [ns.x] %}"
    "{% endfor %}{{ ns.x | tojson(8) }}",
    "sum of lists": "{{ [[1], [2]] | sum(start=[]) }}",
    "block": "{% set a %}{% for i in range(99999) %}" + "x" * 60_000 + "{% endfor %}{% endset %}",
    "many": "".join("{% set a" + str(i) + " = messages[0].content ~ 'a' * 0 if 0 else 'x'.ljust"
                    "(90000) %}" for i in range(900)),
    "power of round": "{{ 1 | round(9999999999, 'ceil') }}",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_templates(model: GPT2, text: str) -> None:
    from pygpt2edge import FormatError

    with pytest.raises((TemplateRefusal, FormatError)) as caught:
        ChatTemplate(text, model.tokenizer, Settings()).tokens([{"role": "user", "content": "x"}])
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


SOUND = {
    "{{ messages|map(attribute='content')|join(', ') }}": "x",
    "{{ messages[0]['content'].replace('x', 'yz') ~ 1 ~ none }}": "yz1None",
    "{{ [1, [2, 'a']] }}{{ {'a': 1} | tojson }}{{ (1, 2)[::-1] }}": "[1, [2, 'a']]{\"a\": 1}(2, 1)",
    "{{ 'a-b'.split('-') | last | upper }}{{ '{:>3}|{x}'.format(1, x=2) }}": "B  1|2",
    "{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(3) * 1 if false else f('q') | e }}": "&lt;q&gt;",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}"
    "{{ ns.n }}{{ range(4) | sum }}{{ 7 // 2 }}{{ 7 % 4 }}{{ 2.5 | round | int }}": "16332",
    "{% set x %}a{% endset %}{{ x + 'b' }}{{ ['b', 'a'] | sort | join }}": "abab",
    "{{ {'b': 1, 'a': 2} | dictsort | list }}{{ [1, 2, 3] | batch(2) | list }}":
    "[('a', 2), ('b', 1)][[1, 2], [3]]",
}  # fmt: skip


@pytest.mark.parametrize("text", SOUND)
def test_templates_do_what_jinjas_do(model: GPT2, text: str) -> None:
    template = ChatTemplate(text, model.tokenizer, Settings())
    tokens = template.tokens([{"role": "user", "content": "x"}])
    assert model.tokenizer.decode(tokens) == SOUND[text]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(max_template=10), "at most 10 are allowed"),
        (Settings(max_chat=3), "too long a prompt"),
        (Settings(template_timeout=1e-9), "takes too long"),
    ],
)
def test_limits_of_templates_are_settings(model: GPT2, settings: Settings, words: str) -> None:
    from pygpt2edge import FormatError

    with pytest.raises((TemplateRefusal, FormatError), match=words):
        ChatTemplate(TEMPLATE, model.tokenizer, settings).tokens(
            [{"role": "user", "content": "hello"}]
        )


@pytest.mark.parametrize("form", ["text", "list", "file"])
def test_the_converter_keeps_the_template(data: Path, tmp_path: Path, form: str) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(data / "hugging_face", folder)
    if form == "file":
        (folder / "chat_template.jinja").write_text(TEMPLATE)
    else:
        several = [{"name": "tools", "template": "x"}, {"name": "default", "template": TEMPLATE}]
        settings = {"chat_template": TEMPLATE if form == "text" else several}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    first = convert(folder, tmp_path / "first.gguf", "f32").out
    second = convert(first, tmp_path / "second.gguf", "q8_0").out
    model = GPT2(second)
    template = chat_template_of(model, Settings())
    assert template is not None
    assert template.tokens([{"role": "user", "content": "a"}])[-1] == model.tokenizer.eos_token
