"""Thinking and answer told apart, however a model marks them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.plan.thinking_tags import KNOWN, THINK, ThinkingTags, named_tags, opened_by, tags_in
from mi_tui.probes.problem import Problem
from mi_tui.probes.scoring.judge import judge
from mi_tui.probes.thinking import Parts, parts_of

_GEMMA = named_tags("<|channel>thought", "<channel|>")
_HARMONY = named_tags("<|channel|>analysis<|message|>", "<|end|>")
_FINAL = "<|start|>assistant<|channel|>final<|message|>"
_THREE = "\\boxed{3}"


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("plain \\boxed{3}", None, "plain \\boxed{3}"),
        ("<think>\n1+2=3\n</think>\n\\boxed{3}", "1+2=3", _THREE),
        ("opened by the prompt</think>\\boxed{3}", "opened by the prompt", _THREE),
        ("<think></think>42", "", "42"),
        ("<think>never closed \\boxed{3}", "never closed \\boxed{3}", ""),
        ("first</think>second</think>third", "first</think>second", "third"),
        ("a</think>b<think>c", "a\nc", "b"),
        ("", None, ""),
        ("[THINK]1+2[/THINK]\\boxed{3}", "1+2", _THREE),
        ("<thinking>1+2</thinking>\n\\boxed{3}", "1+2", _THREE),
        ("<seed:think>1+2</seed:think>\\boxed{3}", "1+2", _THREE),
        ("◁think▷1+2◁/think▷\\boxed{3}", "1+2", _THREE),
        ("<|channel>thought\n1+2\n<channel|>\\boxed{3}", "1+2", _THREE),
        ("<|channel>thought\n<channel|>\\boxed{3}", "", _THREE),
        (
            "<|begin_of_thought|>1+2<|end_of_thought|>\n\n"
            "<|begin_of_solution|>\n\\boxed{3}\n<|end_of_solution|>",
            "1+2",
            _THREE,
        ),
        ("<|begin_of_thought|>1+2<|end_of_thought|>\\boxed{3}", "1+2", _THREE),
        (f"<|channel|>analysis<|message|>1+2<|end|>{_FINAL}3<|return|>", "1+2", "3"),
        (f"<|channel|>analysis<|message|>1+2<|end|>{_FINAL}3<|end|>", "1+2", "3"),
        ("<|channel|>final<|message|>3", None, "3"),
        ("It is 3.<|end|>", None, "It is 3.<|end|>"),
        ("<|channel|>analysis<|message|>1+2", "1+2", ""),
    ],
)
def test_thinking_and_answer_are_told_apart(text: str, thought: str | None, answer: str) -> None:
    parts = parts_of(text)
    assert (parts.thought, parts.answer) == (thought, answer)


@pytest.mark.parametrize(
    ("text", "truncated", "unfinished"),
    [
        (_THREE, False, False),
        ("so maybe \\boxed{3}", True, True),
        ("<think>so \\boxed{3}", False, True),
        ("so</think>\\boxed{3}", True, False),
        ("so</think>\\boxed{3}<think>wait", False, True),
        ("so</think>\\boxed{3}\n<think>\nwait", False, True),
        ("[THINK]so \\boxed{3}", False, True),
        ("<|channel|>analysis<|message|>so 3", False, True),
        (f"<|channel|>analysis<|message|>so<|end|>{_FINAL}3", True, False),
    ],
)
def test_an_unfinished_thought_is_recognised(text: str, truncated: bool, unfinished: bool) -> None:
    assert parts_of(text, truncated).unfinished is unfinished


@pytest.mark.parametrize(
    "text",
    [
        "<think>so 5</think>\\boxed{5} (the tag <think> opens a thought)",
        "<think>so 5</think>\\boxed{5}. I thought between <think> and </think>.",
        "<think>so 5</think>The answer is \\boxed{5}; `<think>` and `</think>` are tags.",
        '<think>so 5</think>Now "</think>" is behind me: \\boxed{5}',
        "[THINK]so 5[/THINK]\\boxed{5}, and the tag [THINK] opens a thought.",
        "Use `<think>` to open a thought. \\boxed{5}",
        "In your prompt the tag <think> opens a thought. \\boxed{5}",
        "<think>the tag </think> closes; so 5</think>\\boxed{5}",
    ],
)
def test_a_tag_that_is_only_spoken_of_opens_and_closes_nothing(text: str) -> None:
    problem = Problem("1", ({"role": "user", "content": "?"},), "5")
    assert judge("integer", problem, text, False).value == 1.0


def test_the_think_ratio_counts_closed_thoughts_alone() -> None:
    closed = {text: parts_of(text).closed for text in ("a</think>b", "<think>a", "b", "`</think>`")}
    assert closed == {"a</think>b": True, "<think>a": False, "b": False, "`</think>`": False}


def test_tags_of_its_own_are_the_only_ones() -> None:
    own = named_tags("<plan>", "</plan>")
    assert parts_of("<plan>x</plan>y", tags=[own]) == Parts("x", "y", True, False)
    assert parts_of("<think>x</think>y", tags=[own]).thought is None
    assert named_tags("<|channel|>analysis<|message|>", "<|end|>").answer_opening


@pytest.mark.parametrize(
    ("template", "tokens", "found"),
    [
        ("{{ '<think>\\n\\n</think>' }}", (), [THINK]),
        ("", ("[THINK]", "[/THINK]"), [named_tags("[THINK]", "[/THINK]")]),
        ("{{ '<|channel|>analysis<|message|>' }}", (), [_HARMONY]),
        ("{{ '<|channel>thought\\n' + thought + '<channel|>' }}", (), [_GEMMA]),
        ("{{ message.content }}<|end|>", ("<|end|>",), []),
        (None, (), []),
    ],
)
def test_tags_are_found_in_templates_and_tokens(
    template: str | None, tokens: tuple[str, ...], found: list[ThinkingTags]
) -> None:
    assert list(tags_in(template, tokens)) == found


@pytest.mark.parametrize("tags", KNOWN)
def test_what_a_prompt_opens_is_known(tags: ThinkingTags) -> None:
    assert opened_by(f"Hello{tags.opening}\n") == tags
    assert opened_by(f"Hello{tags.opening}\n{tags.closing}") is None


@given(
    st.lists(
        st.sampled_from(
            [mark for tags in KNOWN for mark in (tags.opening, tags.closing, tags.answer_opening)]
            + [" ", "\n", "`", "word", "\\boxed{5}", "(", "."]
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_any_heap_of_tags_is_taken_apart(pieces: list[str], truncated: bool) -> None:
    text = "".join(pieces)
    parts = parts_of(text, truncated)
    assert len(parts.answer) <= len(text)
    assert parts.thought is not None or not parts.closed


@pytest.mark.parametrize(
    "piece", ["<think>", "</think>", " <think> x", "`</think>`", "x </think> x", "<|end|>"]
)
def test_long_hostile_text_takes_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = "x" + piece * (length // len(piece))
        start = time.process_time()
        parts_of(text)
        return time.process_time() - start

    # Quadratic work would take hundreds of times as long on the larger text, not ten.
    assert seconds(1_000_000) < 60 * seconds(100_000) + 1.0
