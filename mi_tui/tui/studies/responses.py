"""Responses made ready for a screen: harmless text, thinking apart from the answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mi_tui.analysis.results import RecipeSummary
from mi_tui.present import signs
from mi_tui.probes.text import safe_text
from mi_tui.probes.thinking import Parts, parts_of

LONGEST = 40_000
"""Characters of one response that are shown at most."""


@dataclass(frozen=True, slots=True)
class ProblemText:
    """A problem as a reader needs it."""

    name: str
    question: str
    expected: str


@dataclass(frozen=True, slots=True)
class Response:
    """One stored rollout; all text has been made safe to show.

    ``recipe`` is the recipe's label, ``problem`` the problem's index in the study. ``thinking``
    is ``None`` where there is none.
    """

    id: int
    recipe_key: str
    problem: int
    sample: int
    score: float | None
    tokens: int
    truncated: bool
    extracted: str
    failure: str
    thinking: str | None
    answer: str
    recipe: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it has the full score."""
        return self.score is not None and self.score >= 1.0

    @property
    def sign(self) -> str:
        """Right, cut or wrong, as one sign."""
        return signs.answer(self.score, truncated=self.truncated)

    @property
    def verdict(self) -> str:
        """The same in a word or two."""
        return signs.verdict(self.score, truncated=self.truncated, failure=self.failure)


def read_response(row: dict[str, Any]) -> Response:
    """A row as :meth:`StudyReader.responses` gives it, made safe."""
    text, truncated = str(row["text"]), bool(row["truncated"])
    parts: Parts = row.get("parts") or parts_of(text, truncated)
    thinking, answer = (text, "") if parts.unfinished else (parts.thought, parts.answer)
    return Response(
        id=int(row["id"]),
        recipe_key=str(row["recipe_key"]),
        problem=int(row["problem"]),
        sample=int(row["sample"]),
        score=None if row["score"] is None else float(row["score"]),
        tokens=int(row["tokens"]),
        truncated=truncated,
        extracted=safe_text(str(row["answer"] or ""), 60),
        failure=safe_text(str(row["failure"] or ""), 120),
        thinking=None if thinking is None else safe_text(thinking, LONGEST),
        answer=safe_text(answer, LONGEST),
        recipe=str(row.get("recipe_label", "")),
    )


class Wanted(StrEnum):
    """Which responses a list shows."""

    ALL = "all"
    WRONG = "wrong"
    CUT = "cut"


def matching(
    responses: Sequence[Response], wanted: Wanted, text: str, question: Callable[[int], str]
) -> list[Response]:
    """The responses of a kind that have a text, in any case, in answer, thinking or question.

    Args:
        responses: what there is.
        wanted: all, those that are not right, or those cut at the cap.
        text: empty for any.
        question: the question of a problem, by its index.
    """
    sought = text.lower()

    def fits(response: Response) -> bool:
        if wanted is Wanted.WRONG and response.is_right:
            return False
        if wanted is Wanted.CUT and not response.truncated:
            return False
        texts = (response.answer, response.thinking or "", question(response.problem))
        return not sought or any(sought in one.lower() for one in texts)

    return [response for response in responses if fits(response)]


def one_per_recipe(
    responses: Sequence[Response], rows: Sequence[RecipeSummary]
) -> list[tuple[RecipeSummary, Response]]:
    """A sample of each recipe, by growing λ: the same random numbers, side by side.

    The first sample that all recipes have; where they have none in common, each one's first.
    """
    of: dict[str, dict[int, Response]] = {}
    for response in responses:
        of.setdefault(response.recipe_key, {})[response.sample] = response
    shown = [row for row in rows if row.recipe.key in of]
    common = set.intersection(*(set(of[row.recipe.key]) for row in shown)) if shown else set()
    chosen = []
    for row in sorted(shown, key=lambda row: (row.recipe.lambda_ is None, row.recipe.lambda_ or 0)):
        own = of[row.recipe.key]
        chosen.append((row, own[min(common or own)]))
    return chosen
