"""The rollouts of a study with their texts, read piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mi_tui.plan.recipe import Recipe
from mi_tui.probes.problem import Probe, Problem
from mi_tui.study.storage.store import Store

_AT_ONCE = 128
"""Rollouts read together: with long responses some MiB."""

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Rollout:
    """One response to one problem under one recipe, scored.

    ``problem`` is the problem's id within ``probe``; ``prompt`` the texts of its messages, joined
    by blank lines, before the chat template; ``expected`` the right answer, as the scorer has it.
    ``response`` is what the model wrote and ``answer`` what the scorer extracted of it, ``None``
    where there is none: both are a model's words, not to be trusted. ``score`` lies in [0, 1], and
    is 0 of a response that was cut (``finish`` is then ``"length"``). ``tokens`` counts what was
    generated. ``seed`` is equal for equal problem and sample under every recipe. ``held_out``
    problems confirm the recommendation and choose nothing. ``score`` is
    ``None`` of a response that could not be scored, and ``failure`` says why.
    """

    recipe: Recipe
    probe: str
    problem: str
    prompt: str
    sample: int
    response: str
    answer: str | None
    expected: str
    score: float | None
    tokens: int
    finish: Literal["stop", "length"]
    seed: int
    held_out: bool
    failure: str | None

    def __repr__(self) -> str:
        text = self.response if len(self.response) <= _SHOWN else self.response[:_SHOWN] + "…"
        score = "not scored" if self.score is None else f"score {self.score:g}"
        return (
            f"<Rollout {self.recipe.label}, {self.probe} {self.problem!r} sample {self.sample}: "
            f"{score}, {self.tokens} tokens, {text!r}>"
        )


def read_rollouts(store: Store, recipe: Recipe | None = None) -> Iterator[Rollout]:
    """The stored rollouts in the order of arrival, or those of one recipe.

    Whatever the study's size, only a few are in memory at once.
    """
    asked = [(probe, problem) for probe in store.probes() for problem in probe.problems]
    recipes = store.recipes()
    last = 0
    while rows := store.rollouts_after(last, _AT_ONCE):
        last = rows[-1]["id"]
        if any(row["recipe"] >= len(recipes) for row in rows):
            recipes = store.recipes()
        for row in rows:
            of = recipes[row["recipe"]]
            if recipe is None or of == recipe:
                yield _rollout(row, of, *asked[row["problem"]])


def _rollout(row: dict[str, Any], recipe: Recipe, probe: Probe, problem: Problem) -> Rollout:
    return Rollout(
        recipe=recipe,
        probe=probe.name,
        problem=problem.id,
        prompt="\n\n".join(message["content"] for message in problem.messages),
        sample=row["sample"],
        response=row["text"],
        answer=row["answer"],
        expected=problem.answer,
        score=row["score"],
        tokens=row["tokens"],
        finish="length" if row["truncated"] else "stop",
        seed=row["seed"],
        held_out=problem.split == "held-out",
        failure=row["failure"],
    )
