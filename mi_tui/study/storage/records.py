"""Records of the store: planned and finished rollouts, and requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mi_tui.plan.budget import Budget
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.until import Until

RequestKind = Literal["pause", "resume", "stop", "add", "more", "drop", "budget", "extend"]


@dataclass(frozen=True, slots=True)
class PlannedAsk:
    """A rollout that is planned: the indices of recipe, problem and sample."""

    recipe: int
    problem: int
    sample: int
    round: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """One response, as it is stored. ``seconds`` is the time it took to generate.

    ``score`` is ``None`` where a scorer gave no judgement, and ``failure`` says why.
    """

    ask: PlannedAsk
    seed: int
    text: str
    score: float | None
    tokens: int
    think_tokens: int
    thinking: bool
    truncated: bool
    answer: str | None
    failure: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A wish that a screen or a command left for the worker."""

    id: int
    kind: RequestKind
    data: dict[str, Any]

    def in_words(self, labels: Mapping[str, str]) -> str:
        """The wish as a line of the log; ``labels`` are those of the recipes, by their keys."""
        words = [f"request {self.kind}"]
        recipe, budget = self.data.get("recipe"), self.data.get("budget")
        if isinstance(recipe, dict):
            words.append(Recipe.model_validate(recipe, strict=False).label)
        elif recipe is not None:
            words.append(labels.get(str(recipe), str(recipe)))
        if "samples" in self.data:
            words.append(f"by {self.data['samples']} samples per problem")
        if isinstance(budget, dict):
            words.append(Budget.model_validate(budget, strict=False).spec)
        if isinstance(until := self.data.get("until"), dict):
            words.append(f"until {Until.model_validate(until, strict=False).spec}")
        return " ".join(words)
