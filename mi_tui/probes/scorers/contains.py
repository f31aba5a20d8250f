"""Texts that a response must contain."""

import json

from mi_tui.probes.data_files import Record
from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.scorer import SCORERS, Reading, ScorerKind, plain_answer
from mi_tui.probes.scoring.spelling import normalised


def score_contains(problem: Problem, response: str) -> Score:
    """Correct when the response contains the answer, whatever the case and spacing.

    With ``parts`` in the problem's meta it must contain each of them.
    """
    parts = problem.meta.get("parts", [problem.answer])
    text = _folded(response)
    found = [part for part in parts if _folded(part) in text]
    return Score(float(len(found) == len(parts)), ", ".join(found) or None)


def _folded(text: str) -> str:
    """Text for a comparison that knows no case, no spacing and one spelling of each letter."""
    return " ".join(normalised(normalised(text).casefold()).split())


def _read(record: Record) -> Reading:
    parts = record.values.get("answer")
    if isinstance(parts, list) and parts and all(isinstance(p, str) and p for p in parts):
        return json.dumps(parts, ensure_ascii=False), {"parts": parts}
    return plain_answer(record)


SCORERS.register(
    ScorerKind(
        "contains",
        "it contains `answer`, or each part of a list, whatever the case",
        lambda _: score_contains,
        order=6,
        batched=True,
        for_files=True,
        read=_read,
    )
)
