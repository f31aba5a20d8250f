"""Final answers, letter by letter."""

import re

from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.extraction import stated_answer
from mi_tui.probes.scoring.scorer import SCORERS, ScorerKind
from mi_tui.probes.scoring.spelling import MAX_ANSWER, bare, normalised, unwrapped, without_point
from mi_tui.probes.text import last_boxed


def score_exact(problem: Problem, response: str) -> Score:
    r"""Correct when the final answer is the answer, letter by letter, spacing aside.

    The final answer is the last ``\boxed{…}``, else what ``Answer: …`` or ``The answer is …``
    states, else the whole response. Quotes, bold, math signs and a final point around it may be
    left out.
    """
    response = normalised(response)
    found = last_boxed(response) or stated_answer(response) or response
    wanted = _spaced(normalised(problem.answer))
    readings = [found, f"{found}.", found.removeprefix("> ")]
    if quoted := _QUOTED.match(found):
        readings.append(quoted[1])
    if len(found) <= MAX_ANSWER:
        plain = unwrapped(without_point(unwrapped(found)))
        readings += [plain, bare(plain), without_point(bare(plain))]
    correct = any(_spaced(reading) == wanted for reading in readings)
    return Score(float(correct), _spaced(found) or None)


_QUOTED = re.compile(r'"([^"\n]{1,500})"(?=[,;.]?\s)(?!\s(?:or|and|but|not)\b)')


def _spaced(text: str) -> str:
    return " ".join(text.split())


SCORERS.register(
    ScorerKind(
        "exact",
        "its final answer equals `answer`, spacing aside. The final answer is the last "
        "`\\boxed{…}`, else the last `Answer: …` or “The answer is …”, else the whole response",
        lambda _: score_exact,
        order=1,
        batched=True,
        for_files=True,
    )
)
