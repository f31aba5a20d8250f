"""Integers, in a box or written last."""

from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.extraction import as_integer, final_integer
from mi_tui.probes.scoring.scorer import SCORERS, Reading, ScorerKind


def score_integer(problem: Problem, response: str) -> Score:
    """Correct when the last box, or else the last integer written, is the answer."""
    return compare_integers(problem, final_integer(response))


def compare_integers(problem: Problem, found: int | None) -> Score:
    """Correct when the integer found is the answer."""
    if found is None:
        return Score(0.0)
    return Score(float(found == as_integer(problem.answer)), str(found))


def _read(record: Record) -> Reading:
    answer = record.text("answer")
    if as_integer(answer) is None:
        raise ProbeError(f"{record.where}: answer {answer!r} is not an integer")
    return answer, {}


SCORERS.register(
    ScorerKind(
        "integer",
        "the last box, or else the last integer written, is `answer`",
        lambda _: score_integer,
        order=2,
        batched=True,
        for_files=True,
        read=_read,
    )
)
