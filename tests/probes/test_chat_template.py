"""Prompts rendered without transformers equal those of transformers."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from mi_tui.probes.chat_template import render_chat
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe
from mi_tui.probes.preview import preview

CHATML = (
    "{%- for message in messages %}\n"
    "    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
TEMPLATES = {
    "plain": CHATML,
    "thinking": CHATML + "{{- '<think>\\n' }}",
    "with globals": (
        "{{ bos_token }}{% set ns = namespace(n=0) %}"
        "{% for m in messages %}{% set ns.n = ns.n + 1 %}"
        "{% if m.role == 'tool' %}{% break %}{% endif %}"
        "{{ ns.n }}:{{ m | tojson }}{% generation %}{{ m.content | trim }}{% endgeneration %}\n"
        "{% endfor %}"
    ),
}
MESSAGES = [
    {"role": "system", "content": "Be brief: <é> & “quotes”."},
    {"role": "user", "content": "1 < 2?\n"},
]


def tokenizer(template: str) -> PreTrainedTokenizerFast:
    vocabulary = {"<s>": 0, "<unk>": 1}
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>")),
        bos_token="<s>",
        unk_token="<unk>",
        chat_template=template,
    )


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("as_file", [True, False])
def test_the_prompt_is_that_of_transformers(template: str, as_file: bool, tmp_path: Path) -> None:
    reference = tokenizer(template)
    reference.save_pretrained(tmp_path, save_jinja_files=as_file)
    assert (tmp_path / "chat_template.jinja").exists() is as_file
    expected = reference.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert render_chat(tmp_path, MESSAGES) == expected


def test_named_templates_use_the_default(tmp_path: Path) -> None:
    templates = [{"name": "rag", "template": "no"}, {"name": "default", "template": CHATML}]
    config = {"chat_template": templates, "bos_token": {"content": "<s>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert render_chat(tmp_path, MESSAGES).endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('no system role') }}", "no system role"),
        ("{% if %}", "chat template failed"),
        ("{{ messages.__class__.__mro__ }}", "chat template failed"),
    ],
)
def test_a_template_that_fails_is_one_line(template: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(template)
    with pytest.raises(ProbeError, match=message):
        render_chat(tmp_path, MESSAGES)


def test_a_checkpoint_without_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="no chat template"):
        render_chat(tmp_path, MESSAGES)


@pytest.mark.parametrize(
    "config",
    [
        {"chat_template": ["x", 5, None, {"name": "default"}, {}]},
        {"chat_template": 7},
        {"chat_template": {"default": "x"}},
        {"chat_template": [{"name": ["default"], "template": "x"}]},
    ],
)
def test_malformed_templates_are_one_line(config: object, tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ProbeError, match="no chat template"):
        render_chat(tmp_path, MESSAGES)


def test_a_template_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "chat_template.jinja").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ProbeError, match="far too large"):
        render_chat(tmp_path, MESSAGES)


@pytest.mark.parametrize("name", ["plain", "thinking"])
def test_the_preview_says_whether_the_thought_is_opened(name: str, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(TEMPLATES[name])
    plan = ArithmeticProbe(kind="arithmetic", problems=8)
    example = preview(plan, tmp_path)
    assert example.prompt is not None
    assert example.messages[0]["content"] in example.prompt
    assert (example.opened is not None) is (name == "thinking")
    assert (example.problems, example.held_out, example.scorer) == (8, 2, "boxed-integer")
    assert preview(plan).prompt is None
