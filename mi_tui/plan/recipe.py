"""What one merged model is: λ or a baseline method, its scope, and how it is decoded."""

import json
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from mi_tui.plan.base import Plan
from mi_tui.plan.scope import ALL_MODULES, Layers, ModuleKind, Modules, Scope


def _rounded(value: float) -> float:
    return round(value, 6) + 0.0


Lambda = Annotated[float, Field(ge=0.0, le=1.0), AfterValidator(_rounded)]
"""The interpolation coefficient: 0 is Instruct, 1 is Thinking."""


class Decoding(Plan):
    """How tokens are drawn. The defaults are the paper's for Thinking and every merged model.

    ``temperature`` 0 is greedy decoding; ``top_k`` 0 means no limit.
    """

    temperature: float = Field(default=0.6, ge=0.0, le=5.0)
    top_p: float = Field(default=0.95, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0)

    def __str__(self) -> str:
        if self.temperature == 0:
            return "greedy"
        top_k = f", top-k {self.top_k}" if self.top_k else ""
        return f"T {self.temperature:g}, top-p {self.top_p:g}{top_k}"


class Method(StrEnum):
    """How the weights are mixed; the last two are the paper's baselines (section 4.2)."""

    INTERPOLATION = "interpolation"
    TASK_ARITHMETIC = "task-arithmetic"
    TIES = "ties"


class LambdaRule(Plan):
    """A λ of its own for some layers and module kinds."""

    lambda_: Lambda = Field(alias="lambda")
    layers: Layers = ()
    modules: Modules = ALL_MODULES

    def covers(self, layer: int | None, kind: ModuleKind) -> bool:
        """Whether the rule speaks of a tensor of this kind in this layer."""
        return self._scope.covers(layer, kind)

    def __str__(self) -> str:
        return f"λ = {self.lambda_:g}: {self._scope}"

    @property
    def _scope(self) -> Scope:
        return Scope(layers=self.layers, modules=self.modules)


class Recipe(Plan):
    """One merged model and the decoding it is sampled with.

    ``rules`` give parts of the scope a λ of their own; the last rule that covers a tensor wins.
    ``scale`` and ``density`` belong to the baselines: task arithmetic adds ``scale`` times each
    task vector to the base model; TIES first keeps the ``density`` largest share of each.
    ``backbone`` is a checkpoint that takes Instruct's place in an interpolation (paper, section
    4.3: other backbones); ``base`` is a baseline's base model, where it is not the pair's.
    """

    method: Method = Method.INTERPOLATION
    lambda_: Lambda | None = Field(default=None, alias="lambda")
    scope: Scope = Scope()
    rules: tuple[LambdaRule, ...] = ()
    decoding: Decoding = Decoding()
    scale: float | None = Field(default=None, gt=0.0, le=2.0)
    density: float | None = Field(default=None, gt=0.0, le=1.0)
    backbone: str | None = Field(default=None, min_length=1)
    base: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _belongs_together(self) -> "Recipe":
        if self.method is Method.INTERPOLATION:
            if self.lambda_ is None:
                raise ValueError("an interpolation needs lambda, a number from 0 to 1")
            if self.scale is not None or self.density is not None:
                raise ValueError("scale and density belong to task-arithmetic and ties")
            if self.base is not None:
                raise ValueError("base belongs to task-arithmetic and ties: write backbone")
        else:
            if self.lambda_ is not None or self.rules or not self.scope.is_full:
                raise ValueError(f"{self.method} takes scale, and no lambda, scope or rules")
            if self.scale is None:
                raise ValueError(f"{self.method} needs scale")
            if (self.density is None) != (self.method is Method.TASK_ARITHMETIC):
                raise ValueError("ties needs density, task-arithmetic takes none")
            if self.backbone is not None:
                raise ValueError("backbone belongs to an interpolation")
        return self

    def canonical_json(self) -> str:
        """As for any plan, without the checkpoints of its own where there are none.

        Studies that were stored before recipes could name any are found by the same key.
        """
        content = json.loads(super().canonical_json())
        named = {key: value for key, value in content.items() if key not in ("backbone", "base")}
        own = {key: content[key] for key in ("backbone", "base") if content[key] is not None}
        return json.dumps(named | own, sort_keys=True, separators=(",", ":"))

    def lambda_at(self, layer: int | None, kind: ModuleKind) -> float:
        """The λ of a tensor of this kind in this layer (``None``: outside the layer stack).

        Raises:
            ValueError: the recipe is a baseline and has no λ.
        """
        if self.lambda_ is None:
            raise ValueError(f"{self.label} has no λ")
        if not self.scope.covers(layer, kind):
            return 0.0 if self.scope.outside == "instruct" else 1.0
        for rule in reversed(self.rules):
            if rule.covers(layer, kind):
                return rule.lambda_
        return self.lambda_

    @property
    def is_uniform(self) -> bool:
        """Whether one λ of the pair holds for the whole model."""
        whole = self.lambda_ is not None and self.scope.is_full and not self.rules
        return whole and self.backbone is None

    @property
    def is_of_the_pair(self) -> bool:
        """Whether the weights are linear in λ between the pair's own two checkpoints."""
        return self.method is Method.INTERPOLATION and self.backbone is None

    @property
    def label(self) -> str:
        """How the recipe is shown: ``MI-0.55``, ``MI-0.8 · w/o FFN``, ``TIES``."""
        if self.method is not Method.INTERPOLATION:
            name = f"TA-{self.scale:g}" if self.method is Method.TASK_ARITHMETIC else "TIES"
            return f"{name} · base {_short(self.base)}" if self.base else name
        parts = [f"MI-{self.lambda_:g}"]
        if self.backbone:
            parts.append(f"from {_short(self.backbone)}")
        if not self.scope.is_full:
            parts.append(str(self.scope))
        if self.rules:
            parts.append("λ " + "/".join(f"{rule.lambda_:g}" for rule in self.rules))
        return " · ".join(parts)


def labels(recipes: Sequence[Recipe]) -> tuple[str, ...]:
    """The label of each recipe, with its decoding where that is not the most usual one."""
    if not recipes:
        return ()
    ((usual, _),) = Counter(recipe.decoding for recipe in recipes).most_common(1)
    return tuple(
        recipe.label if recipe.decoding == usual else f"{recipe.label} · {recipe.decoding}"
        for recipe in recipes
    )


def _short(reference: str) -> str:
    """The last part of a path or a hub id."""
    return reference.rstrip("/").rpartition("/")[2]


def interpolation(lambda_: float, scope: Scope | None = None) -> Recipe:
    """The recipe of W(λ) = λ·Thinking + (1 − λ)·Instruct with the paper's decoding."""
    return Recipe(lambda_=lambda_, scope=scope or Scope())
