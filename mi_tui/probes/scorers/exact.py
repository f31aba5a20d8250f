"""Final answers, letter by letter."""

import re

from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.extraction import normalised
from mi_tui.probes.scoring.scorer import SCORERS, ScorerKind
from mi_tui.probes.text import last_boxed

# Every repetition is bounded, so that no text takes more than linear time.
_ANSWER_LINE = re.compile(
    r"^[ \t*_#]{0,8}(?:final )?answer[ \t]{0,4}\*{0,3}[ \t]{0,4}:\*{0,3}(.*)$",
    re.IGNORECASE | re.MULTILINE,
)


def score_exact(problem: Problem, response: str) -> Score:
    r"""Correct when the final answer is the answer, letter by letter, spacing aside.

    The final answer is the last ``\boxed{…}``, else the last line ``Answer: …``, else the whole
    response.
    """
    response = normalised(response)
    found = last_boxed(response)
    if found is None:
        lines = _ANSWER_LINE.findall(response)
        found = lines[-1].strip(" *_") if lines else response
    found = " ".join(found.split())
    wanted = " ".join(normalised(problem.answer).split())
    return Score(float(found == wanted), found or None)


SCORERS.register(
    ScorerKind(
        "exact",
        "its final answer equals `answer`, spacing aside. The final answer is the last "
        "`\\boxed{…}`, else the last line `Answer: …`, else the whole response",
        lambda _: score_exact,
        order=1,
        batched=True,
        for_files=True,
    )
)
