"""The decision over two knobs, λ of attention and λ of the FFN: its surface and its best point."""

from dataclasses import dataclass

import numpy as np

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.decision import Decision, decide
from mi_tui.analysis.recommendation.design import Design
from mi_tui.analysis.recommendation.verdict import answerable
from mi_tui.analysis.search.uniform_front import Uniform
from mi_tui.analysis.statistics.cells import aggregate, searched
from mi_tui.analysis.statistics.plane import Surface, fit_surface, is_like, knob_family
from mi_tui.plan.base import Plan
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe


class KnobCell(Plan):
    """The model's estimates at one point; ``rollouts`` counts what was asked there."""

    attention: float
    ffn: float
    score: float
    tokens: float
    think_ratio: float
    probability: float
    """That of keeping the budget's limit."""
    rollouts: int = 0


@dataclass(frozen=True, slots=True)
class KnobDecision:
    """The surface, the decision over it, and the index of the uniform answer."""

    preset: Preset
    surface: Surface
    decision: Decision
    uniform: int

    @classmethod
    def of(
        cls,
        observations: Observations,
        preset: Preset,
        found: Uniform,
        latency: Latency | None,
    ) -> "KnobDecision":
        """The decision from what is stored, beside the uniform answer."""
        seed, lambda_ = preset.search.seed, found.recipe.lambda_ or 0.0
        surface = fit_surface(
            observations,
            found.recipe,
            further=[(lambda_, lambda_)],
            seed=seed,
            about=preset.budget.about,
        )
        decision = decide(
            surface.curves,
            answerable(preset.budget, latency),
            latency=latency,
            seed=seed,
            tolerance=preset.search.tolerance,
        )
        return cls(preset, surface, decision, surface.at((lambda_, lambda_)))

    @property
    def most_likely_gain(self) -> float:
        """The highest probability of a point off the diagonal to beat the uniform answer.

        By more than the tolerance, within the limit.
        """
        utility, margin = self.decision.utility, self.decision.margin
        gain = utility - utility[:, [self.uniform]] > self.preset.search.tolerance
        off = self.surface.knobs[:, 0] != self.surface.knobs[:, 1]
        return float((gain & (margin >= 0)).mean(axis=0)[off].max())

    def best(self, observations: Observations) -> Recipe | None:
        """The most promising point off the diagonal that was asked; ``None`` without any."""
        decision, utility = self.decision, self.decision.utility.mean(axis=0)
        promising = {
            recipe: float(utility[point])
            for recipe in knob_rows(observations, self.preset)
            if decision.probability[point := self._point(recipe)] >= self.preset.budget.confidence
        }
        best = max(promising, key=lambda recipe: promising[recipe], default=None)
        return best if best and promising[best] > utility[self.uniform] else None

    def length_ratio(self, recipe: Recipe) -> float:
        """The tokens of a recipe in parts of the uniform answer's."""
        tokens = self.surface.curves.tokens.mean(axis=0)
        return float(tokens[self._point(recipe)] / tokens[self.uniform])

    def _point(self, recipe: Recipe) -> int:
        assert recipe.knobs is not None
        return self.surface.at(recipe.knobs)

    def design(self, observations: Observations) -> Design:
        """How often each point was asked; points are numbered as in the surface's curves."""
        search = searched(observations.problems)
        counts = aggregate(observations).count[:, search]
        mine = knob_family(observations.recipes, self.preset.recipe(0.0))
        on: list[tuple[int, int]] = []
        for recipe in mine.tolist():
            try:
                on.append((self._point(observations.recipes[recipe]), recipe))
            except ValueError:
                continue  # a uniform λ beside the lattice is no point to choose
        rows = [recipe for _, recipe in on]
        return Design(
            np.array([point for point, _ in on], dtype=np.float64),
            counts[rows].sum(axis=1).astype(np.float64),
            (counts[rows] > 0).sum(axis=1).astype(np.float64),
            int((counts[mine] > 0).any(axis=0).sum()),
            int(search.sum()),
            self.preset.budget.about == "these-problems",
        )

    def cells(self, observations: Observations) -> tuple[KnobCell, ...]:
        """The estimates at every point, with what was asked there."""
        curves = self.surface.curves
        number = dict.fromkeys(range(len(self.surface.knobs)), 0)
        design = self.design(observations)
        number.update(zip(design.lambdas.astype(int).tolist(), design.rollouts, strict=True))
        return tuple(
            KnobCell(
                attention=float(attention),
                ffn=float(ffn),
                score=float(curves.score[:, point].mean()),
                tokens=float(curves.tokens[:, point].mean()),
                think_ratio=float(curves.thinking[:, point].mean()),
                probability=float(self.decision.probability[point]),
                rollouts=int(number[point]),
            )
            for point, (attention, ffn) in enumerate(self.surface.knobs)
        )


def knob_rows(observations: Observations, preset: Preset) -> list[Recipe]:
    """The recipes off the diagonal that have rollouts on search problems."""
    search = searched(observations.problems)
    places = np.unique(observations.recipe[search[observations.problem]])
    like = preset.recipe(0.0)
    mine = (observations.recipes[place] for place in places)
    return [recipe for recipe in mine if recipe.rules and is_like(recipe, like)]


def in_words(recipe: Recipe) -> str:
    """Both knobs of a recipe: ``attention 0.5, FFN 0.8``."""
    attention, ffn = recipe.knobs or (0.0, 0.0)
    return f"attention {attention:g}, FFN {ffn:g}"
