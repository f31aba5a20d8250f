"""End tokens: by the generation config, the tokenizer and the template, held against each other."""

import pytest

from mi_tui.checkpoints.tokenizer import EndTokens, TokenizerInfo, end_tokens

_IDS = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2, "<|end|>": 3, "<|return|>": 4}
_CHATML = "{{ '<|im_start|>' + message.role + message.content + '<|im_end|>' }}"


def _found(
    generation: dict[str, object] | None,
    eos: str | None = "<|im_end|>",
    template: str | None = _CHATML,
    config: dict[str, object] | None = None,
) -> EndTokens:
    special = {"eos_token": eos} if eos else {}
    info = TokenizerInfo(vocabulary=_IDS, special=special, chat_template=template)
    return end_tokens(config or {}, generation, info)


def test_a_config_that_leaves_out_the_end_of_the_turn_is_told_of() -> None:
    found = _found({"eos_token_id": 0})
    assert found.union == {0, 2}
    assert "ends at <|endoftext|> (0)" in found.disagreement
    assert "the tokenizer and the chat template at <|im_end|> (2)" in found.disagreement


@pytest.mark.parametrize(
    ("generation", "eos", "template", "told"),
    [
        ({"eos_token_id": [2, 0]}, "<|im_end|>", _CHATML, ""),
        ({"eos_token_id": 2}, "<|im_end|>", _CHATML, ""),
        ({"eos_token_id": 2}, None, None, ""),
        ({"eos_token_id": 2}, "<|endoftext|>", _CHATML, "the tokenizer at <|endoftext|> (0)"),
        ({"eos_token_id": 0}, "<|endoftext|>", _CHATML, "the chat template at <|im_end|> (2)"),
        (None, "<|im_end|>", _CHATML, ""),
        ({"eos_token_id": {"odd": 1}}, "<|im_end|>", _CHATML, ""),
    ],
)
def test_only_what_the_config_leaves_out_is_told(
    generation: dict[str, object] | None, eos: str | None, template: str | None, told: str
) -> None:
    words = _found(generation, eos, template).disagreement
    assert told in words
    assert bool(words) == bool(told)


def test_the_config_speaks_where_there_is_no_generation_config() -> None:
    assert _found(None, None, None, {"eos_token_id": 4}).union == {4}
    assert _found(None, None, None, {"text_config": {"eos_token_id": [4, 0]}}).union == {0, 4}


def test_what_ends_a_thought_ends_no_response() -> None:
    template = "<|channel|>analysis<|message|>…<|end|><|channel|>final<|message|>…<|return|>"
    assert _found({"eos_token_id": 4}, "<|return|>", template).union == {4}
    assert _found({"eos_token_id": 4}, "<|return|>", "{{ content }}<|end|>").union == {3, 4}
