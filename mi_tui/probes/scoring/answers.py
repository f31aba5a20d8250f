"""The scorers of the user's own problems: exact, choice, contains, regex and JSON schema."""

import json
import re
from functools import lru_cache
from typing import Any

from mi_tui.probes.errors import ScorerError
from mi_tui.probes.problem import Problem, Score, Scorer
from mi_tui.probes.scoring.extraction import final_choice, normalised
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


def score_choice(problem: Problem, response: str) -> Score:
    """Correct when the chosen letter is the answer; see :func:`extract.final_choice`."""
    letters = problem.meta.get("letters", "ABCD")
    found = final_choice(response, letters)
    return Score(float(found == problem.answer.strip().upper()), found)


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


def score_regex(problem: Problem, response: str) -> Score:
    """Correct when a regular expression matches, in Python's syntax and on many lines.

    With ``pattern`` in the problem's meta, its last match (its first group, if it has one) must
    be the answer; without, the answer itself is the expression that must match somewhere.
    """
    pattern = problem.meta.get("pattern")
    compiled = re.compile(pattern or problem.answer, re.MULTILINE)
    last = None
    for last in compiled.finditer(response):  # noqa: B007 - the last match is wanted
        pass
    if last is None:
        return Score(0.0)
    found = last[1] if compiled.groups and last[1] is not None else last[0]
    return Score(float(pattern is None or found.strip() == problem.answer.strip()), found.strip())


def json_schema_scorer() -> Scorer:
    """Correct when the response holds a JSON value that the schema in the answer accepts.

    The value is the whole response, else its last fenced block, else the outermost braces or
    brackets.

    Raises:
        ScorerError: the jsonschema library is not installed.
    """
    try:
        import jsonschema
        import referencing
    except ImportError as error:
        raise ScorerError("the json-schema scorer needs: pip install jsonschema") from error

    @lru_cache(maxsize=256)
    def validator(schema: str) -> Any:
        rules = json.loads(schema)
        kind = jsonschema.validators.validator_for(rules)
        # An empty registry: a reference to another document is never fetched.
        return kind(rules, registry=referencing.Registry())

    def score(problem: Problem, response: str) -> Score:
        found, value = _find_json(response)
        if found is None:
            return Score(0.0)
        return Score(float(validator(problem.answer).is_valid(value)), found)

    return score


def _find_json(response: str) -> tuple[str | None, Any]:
    fenced = response.split("```")[1::2]
    candidates = [response, *(block.removeprefix("json") for block in fenced[-1:])]
    for opening, closing in ("{}", "[]"):
        start, end = response.find(opening), response.rfind(closing)
        if 0 <= start < end:
            candidates.append(response[start : end + 1])
    for candidate in candidates:
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return json.dumps(value, sort_keys=True, ensure_ascii=False)[:1000], value
    return None, None
