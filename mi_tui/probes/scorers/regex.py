"""Regular expressions that a response must match."""

import re
import unicodedata

from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.scorer import SCORERS, Reading, ScorerKind


def score_regex(problem: Problem, response: str) -> Score:
    """Correct when a regular expression matches, in Python's syntax and on many lines.

    With ``pattern`` in the problem's meta, its last match (its first group, if it has one) must
    be the answer; without, the answer itself is the expression that must match somewhere.
    """
    pattern = problem.meta.get("pattern")
    compiled = re.compile(_composed(pattern or problem.answer), re.MULTILINE)
    last = None
    for last in compiled.finditer(_composed(response).replace("\r\n", "\n")):  # noqa: B007 - the last match is wanted
        pass
    if last is None:
        return Score(0.0)
    found = last[1] if compiled.groups and last[1] is not None else last[0]
    wanted = _composed(problem.answer).strip()
    return Score(float(pattern is None or found.strip() == wanted), found.strip())


def _composed(text: str) -> str:
    """Text in which one letter is one character, however it was written (NFC)."""
    return unicodedata.normalize("NFC", text)


def _read(record: Record) -> Reading:
    answer, pattern = record.text("answer"), record.values.get("pattern")
    try:
        re.compile(str(pattern or answer))
    except re.error as error:
        raise ProbeError(f"{record.where}: not a regular expression: {error}") from error
    return answer, {"pattern": str(pattern)} if pattern else {}


SCORERS.register(
    ScorerKind(
        "regex",
        "`answer`, a Python regular expression, matches somewhere; or, with `pattern`, its last "
        "match (its first group) is `answer`",
        lambda _: score_regex,
        order=5,
        for_files=True,
        read=_read,
    )
)
