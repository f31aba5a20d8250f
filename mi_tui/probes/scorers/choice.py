"""The letter of a choice."""

import re

from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.prompts import LETTERS
from mi_tui.probes.scoring.choices import final_choice
from mi_tui.probes.scoring.scorer import SCORERS, Reading, ScorerKind


def score_choice(problem: Problem, response: str) -> Score:
    """Correct when the letter of :func:`choices.final_choice` is the answer."""
    letters = problem.meta.get("letters", "ABCD")
    found = final_choice(response, letters)
    return Score(float(found == problem.answer.strip().upper()), found)


def _read(record: Record) -> Reading:
    answer, choices = record.text("answer").strip(), record.parsed("choices", list)
    if choices is None:
        if not re.fullmatch("[A-Ja-j]", answer):
            raise ProbeError(f"{record.where}: answer {answer!r} is not a letter from A to J")
        return answer.upper(), {"letters": "ABCD" if answer.upper() <= "D" else LETTERS}
    texts = [str(choice) for choice in choices]
    if not 2 <= len(texts) <= len(LETTERS) or len(set(texts)) < len(texts):
        raise ProbeError(f"{record.where}: choices must be 2 to {len(LETTERS)} different texts")
    letters = LETTERS[: len(texts)]
    if answer in texts:
        answer = letters[texts.index(answer)]
    if len(answer) != 1 or answer.upper() not in letters:
        raise ProbeError(
            f"{record.where}: answer {answer!r} is neither a letter nor one of choices"
        )
    return answer.upper(), {"letters": letters, "choices": texts}


SCORERS.register(
    ScorerKind(
        "choice",
        "the letter of the last `ANSWER: X`, else of the last box, else the whole response, is "
        "`answer` (a letter, or one of `choices`)",
        lambda _: score_choice,
        order=4,
        batched=True,
        for_files=True,
        read=_read,
    )
)
