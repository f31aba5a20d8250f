"""Our scores beside those of math-verify, lm-eval and lighteval, response by response.

``disagreements.jsonl`` lists every answer of ``answers.jsonl`` that one of them scores otherwise
on the whole response, with both scores; ours is what a careful reader says. A new disagreement,
or one that is gone, fails the test.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Case = dict[str, Any]
Verdict = Callable[[str, str], int]
"""Takes the wanted answer and the response; 1 where the library says right."""

_FOLDER = Path(__file__).parent
_ENDLESS = re.compile(r"sum_\{|9\^\{9")
"""What math-verify works on for ever."""


def _lines(name: str) -> list[Case]:
    return [json.loads(line) for line in (_FOLDER / name).read_text().splitlines()]


def _cases(library: str) -> list[Case]:
    cases = _lines("answers.jsonl")
    if library == "math-verify":
        chosen = [case for case in cases if case["scorer"] == "math"][::3]
        huge = ("2^{2", "10^{1")
        return [
            case
            for case in chosen
            if not _ENDLESS.search(case["response"]) and not case["answer"].startswith(huge)
        ]
    if library == "lm-eval integer":
        return [case for case in cases if case["scorer"] == "integer"]
    return [case for case in cases if case["scorer"] == "choice" and "letters" not in case]


def _math_verify() -> Verdict:
    import math_verify

    def verdict(answer: str, response: str) -> int:
        plain, latex = (
            math_verify.parse(text, parsing_timeout=None) for text in (answer, f"${answer}$")
        )
        found = math_verify.parse(response, parsing_timeout=None)
        return int(bool(math_verify.verify(latex or plain, found, timeout_seconds=None)))

    return verdict


def _lm_eval_integer() -> Verdict:
    """``flexible-extract`` of lm-eval's gsm8k, with the signs its ``exact_match`` ignores."""
    extraction = pytest.importorskip("lm_eval.filters.extraction")
    pattern = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"
    extract = extraction.RegexFilter(regex_pattern=pattern, group_select=-1)

    def verdict(answer: str, response: str) -> int:
        found = extract.apply([[response]], [{}])[0][0]
        return int(re.sub(r"[$,]|\.$", "", found) == answer)

    return verdict


def _lm_eval_choice() -> Verdict:
    """The pattern of simple-evals in lm-eval's regex filter; the last match counts."""
    extraction = pytest.importorskip("lm_eval.filters.extraction")
    pattern = r"(?i)ANSWER\s*:\s*\$?([A-D])\$?"
    extract = extraction.RegexFilter(regex_pattern=pattern, group_select=-1)

    def verdict(answer: str, response: str) -> int:
        return int(extract.apply([[response]], [{}])[0][0].upper() == answer)

    return verdict


def _lighteval_choice() -> Verdict:
    """lighteval's extraction of letters, as its GPQA has it."""
    utilities: Any = pytest.importorskip("lighteval.metrics.utils.extractive_match_utils")
    requests: Any = pytest.importorskip("lighteval.tasks.requests")
    language: Any = pytest.importorskip("lighteval.utils.language")
    doc = requests.Doc(query="?", choices=list("ABCD"), gold_index=0)
    letters = [utilities.IndicesExtractionConfig(prefix_for_extraction="NativeLetters")]
    patterns = utilities.get_extraction_regexes(doc, letters, language.Language.ENGLISH)

    def verdict(answer: str, response: str) -> int:
        found = utilities.extract_target_from_pred(response, patterns, "first_match", "any_match")
        return int(bool(found) and str(found[0]).upper() == answer)

    return verdict


LIBRARIES: dict[str, Callable[[], Verdict]] = {
    "math-verify": _math_verify,
    "lm-eval integer": _lm_eval_integer,
    "lm-eval choice": _lm_eval_choice,
    "lighteval choice": _lighteval_choice,
}


def disagreements(library: str) -> list[Case]:
    """The cases that a library scores otherwise, as the table has them."""
    verdict = LIBRARIES[library]()
    found = []
    for case in _cases(library):
        theirs = verdict(case["answer"], case["response"])
        if theirs != case["want"]:
            both = {"theirs": theirs, "ours": case["want"]}
            found.append(
                {
                    "library": library,
                    "answer": case["answer"],
                    "response": case["response"],
                    **both,
                }
            )
    return found


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_disagreement_is_listed(library: str) -> None:
    found = disagreements(library)
    assert len(_cases(library)) > 150
    listed = [case for case in _lines("disagreements.jsonl") if case["library"] == library]
    assert [case for case in found if case not in listed] == []
    assert [case for case in listed if case not in found] == []


def test_the_table_is_about_cases_that_there_are() -> None:
    scores = {(case["answer"], case["response"]): case["want"] for case in _lines("answers.jsonl")}
    listed = _lines("disagreements.jsonl")
    assert {case["library"] for case in listed} == {*LIBRARIES}
    for case in listed:
        assert case["ours"] != case["theirs"]
        assert (case["answer"], case["response"]) in scores
