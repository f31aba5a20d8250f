"""The prompts that several kinds of probe share, as published."""

from collections.abc import Sequence

BOXED = "Please reason step by step, and put your final answer within \\boxed{}."
"""What the paper asks for on AIME'25 (released configuration ``evaluation/aime25.py``)."""

LETTERS = "ABCDEFGHIJ"
"""The letters of choices, at most ten."""

CHOICE = (
    "Answer the following multiple choice question. The last line of your response should be of "
    "the following format: 'ANSWER: $LETTER' (without quotes) where LETTER is one of {letters}. "
    "Think step by step before answering."
)
"""The prompt of OpenAI's simple-evals, which the paper uses for GPQA."""


def choice_prompt(question: str, choices: Sequence[str]) -> str:
    """A question with its lettered choices, in the words of simple-evals."""
    letters = [chr(ord("A") + index) for index in range(len(choices))]
    lines = "\n".join(f"{a}) {text}" for a, text in zip(letters, choices, strict=True))
    return f"{CHOICE.format(letters=''.join(letters))}\n\n{question}\n\n{lines}"
