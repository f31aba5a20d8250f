"""The dial: what a server offers, from the command that starts it to its middleware."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from mi_tui.errors import MiTuiError
from mi_tui.plan.base import Plan
from mi_tui.plan.recipe import Lambda, LambdaRule, Recipe
from mi_tui.plan.serve import EffortName, MeasuredCurve, ModelName, ServedRecipe

VARIABLE = "MI_TUI_DIAL"
"""The environment variable that holds the dial as JSON, for every API server of a vLLM."""

PATH = "/v1/dial"
"""Where a server tells its dial."""


class UnknownLambdaError(MiTuiError):
    """A λ or an effort that the dial does not have."""


class Dial(Plan):
    """What a server offers.

    ``recipe`` is that of requests that name no λ; all others differ from it in λ alone.
    ``recipes`` have more than one λ. ``fixed``: the pair is merged at this one λ, and no other
    can be had.
    """

    name: ModelName
    recipe: Recipe
    efforts: dict[EffortName, Lambda]
    recipes: dict[EffortName, ServedRecipe] = Field(default_factory=dict)
    measured: MeasuredCurve | None = None
    fixed: bool = False

    @property
    def default(self) -> float:
        """The λ of requests that name none."""
        return self.recipe.lambda_ or 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """What may stand behind the model's ``@``, beside a number: efforts and recipes."""
        return (*self.efforts, *self.recipes)

    @property
    def models(self) -> tuple[str, ...]:
        """The names under which the pair is listed: alone, and with each effort and recipe."""
        return (self.name, *(f"{self.name}@{name}" for name in self.names))

    def at(self, lambda_: float, rules: Sequence[LambdaRule] = ()) -> Recipe:
        """The recipe of a λ.

        Args:
            lambda_: from 0 to 1.
            rules: of parts with a λ of their own.

        Raises:
            UnknownLambdaError: the pair is merged at another one.
        """
        said = self.recipe.model_dump(by_alias=True) | {"lambda": lambda_, "rules": tuple(rules)}
        recipe = Recipe.model_validate(said, strict=False)
        if self.fixed and recipe != self.recipe:
            raise UnknownLambdaError(
                f"this server runs one merged model, λ = {self.default:g}, and no other"
            )
        return recipe

    def named(self, name: str) -> Recipe:
        """The recipe of an effort, or of one with more than one λ.

        Raises:
            UnknownLambdaError: there is none of this name.
        """
        if name in self.recipes:
            return self.at(self.recipes[name].lambda_, self.recipes[name].rules)
        if name in self.efforts:
            return self.at(self.efforts[name])
        if not self.names:
            raise UnknownLambdaError("this server has no efforts: leave the effort out")
        raise UnknownLambdaError(
            f"no effort {_short(name)}: efforts here are {', '.join(self.names)}"
        )

    def as_json(self) -> dict[str, Any]:
        """The answer to ``GET /v1/dial``: names, λ, what was measured of each effort, the curve."""
        return {
            "object": "dial",
            "model": self.name,
            "label": self.recipe.label,
            "lambda": self.default,
            "fixed": self.fixed,
            "measured": self._measured(self.default),
            "efforts": [
                {
                    "effort": name,
                    "model": f"{self.name}@{name}",
                    "lambda": lambda_,
                    "measured": self._measured(lambda_),
                }
                for name, lambda_ in self.efforts.items()
            ],
            "recipes": [
                {
                    "recipe": name,
                    "model": f"{self.name}@{name}",
                    "label": self.at(served.lambda_, served.rules).label,
                    **served.model_dump(mode="json", by_alias=True),
                }
                for name, served in self.recipes.items()
            ],
            "curve": [
                point.model_dump(by_alias=True)
                for point in (self.measured.points() if self.measured else ())
            ],
        }

    def _measured(self, lambda_: float) -> dict[str, float] | None:
        point = None if self.measured is None else self.measured.at(lambda_)
        return None if point is None else point.model_dump(by_alias=True)


def _short(name: str) -> str:
    text = repr(name)
    return text if len(text) <= 40 else f"{text[:39]}…"
