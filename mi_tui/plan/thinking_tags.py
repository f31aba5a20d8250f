"""Thinking tags: the marks between which models write what they think."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThinkingTags:
    """What opens and closes a thought, and what some models put around the answer behind it.

    ``closes_else`` says that the closing mark ends other parts of a response, too, so that it
    tells of a thought only where ``opening`` stands before it.
    """

    opening: str
    closing: str
    answer_opening: str = ""
    answer_closing: str = ""
    closes_else: bool = False

    def __str__(self) -> str:
        return f"{self.opening} … {self.closing}"


THINK = ThinkingTags("<think>", "</think>")

KNOWN: tuple[ThinkingTags, ...] = (
    THINK,  # Qwen, DeepSeek, QwQ, Phi-4-reasoning, Olmo-Think, GLM, Nemotron
    ThinkingTags("[THINK]", "[/THINK]"),  # Magistral, Ministral
    ThinkingTags("<thinking>", "</thinking>"),
    ThinkingTags(  # OpenThinker, Sky-T1
        "<|begin_of_thought|>",
        "<|end_of_thought|>",
        "<|begin_of_solution|>",
        "<|end_of_solution|>",
    ),
    ThinkingTags("<seed:think>", "</seed:think>"),  # Seed-OSS
    ThinkingTags(  # gpt-oss (the harmony format)
        "<|channel|>analysis<|message|>",
        "<|end|>",
        "<|channel|>final<|message|>",
        "<|return|>",
        closes_else=True,
    ),
    ThinkingTags("<|channel>thought", "<channel|>"),  # Gemma 4
    ThinkingTags(
        "<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"
    ),
    ThinkingTags("◁think▷", "◁/think▷"),  # Kimi
)
"""The tags of models that are about, as their chat templates and vLLM's reasoning parsers have
them (https://docs.vllm.ai/en/stable/features/reasoning_outputs)."""


def named_tags(opening: str, closing: str) -> ThinkingTags:
    """The tags with these two marks; of a known opening all that is known of it."""
    for tags in KNOWN:
        if (tags.opening, tags.closing) == (opening, closing):
            return tags
    return ThinkingTags(opening, closing)


def tags_in(chat_template: str | None, tokens: Collection[str] = ()) -> tuple[ThinkingTags, ...]:
    """The known tags that a chat template writes or that are tokens of their own.

    Args:
        chat_template: its text, which is not run.
        tokens: the vocabulary.
    """
    text = chat_template or ""
    return tuple(tags for tags in KNOWN if _is_in(tags, text, tokens))


def _is_in(tags: ThinkingTags, template: str, tokens: Collection[str]) -> bool:
    if tags.closes_else:
        return "<|channel|>" in tokens or "<|channel|>analysis" in template
    return tags.closing in template or tags.closing in tokens


def opened_by(prompt: str, known: Sequence[ThinkingTags] = KNOWN) -> ThinkingTags | None:
    """The tags of the thought that a prompt leaves open at its end; ``None`` where it does not.

    Args:
        prompt: the text that the model goes on from, or the end of a chat template.
        known: the tags that are looked for.
    """
    for tags in known:
        at = prompt.rfind(tags.opening)
        if at >= 0 and tags.closing not in prompt[at:]:
            return tags
    return None
