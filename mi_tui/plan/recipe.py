"""Recipes: λ or a baseline method, its scope, and its decoding."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from mi_tui.plan.base import Plan
from mi_tui.plan.method import LAMBDA, METHODS, MergeMethod, Values
from mi_tui.plan.scope import (
    ALL_MODULES,
    Layers,
    ModuleKind,
    Modules,
    Scope,
    StoredModules,
)
from mi_tui.registry import UnknownNameError


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


class LambdaRule(Plan):
    """A λ of its own for some layers and module kinds."""

    lambda_: Lambda = Field(alias="lambda")
    layers: Layers = ()
    modules: StoredModules = ALL_MODULES

    def covers(self, layer: int | None, kind: ModuleKind) -> bool:
        """Whether the rule speaks of a tensor of this kind in this layer."""
        return self._scope.covers(layer, kind)

    def __str__(self) -> str:
        return f"λ = {self.lambda_:g}: {self._scope}"

    @property
    def _scope(self) -> Scope:
        return Scope(layers=self.layers, modules=self.modules)


def _is_none(value: object) -> bool:
    return value is None


FFN_KNOB: Modules = (ModuleKind.FFN, ModuleKind.ROUTER)
"""What the second of two knobs turns; the first turns all else, attention above all."""

_STORED = ("scale", "density")
"""Parameters that every stored recipe has a key for, ``null`` where its method takes none."""


class Recipe(Plan):
    """One merged model and the decoding it is sampled with.

    ``method`` names a merge method; the numbers that it declares stand beside the other fields
    (``method = "ties"``, ``scale = 0.5``, ``density = 0.2``) and are read as ``parameters``.
    ``rules`` give parts of the scope a λ of their own; the last rule that covers a tensor wins.
    ``backbone`` is a checkpoint that takes Instruct's place where the method takes λ (paper,
    section 4.3: other backbones); ``base`` is the base model of a method that needs one, where
    it is not the pair's. ``thinking_cap`` closes a thought that has not ended after so many
    tokens of the response; the model then goes on with its answer.
    """

    model_config = ConfigDict(extra="allow")

    method: str = "interpolation"
    lambda_: Lambda | None = Field(default=None, alias="lambda")
    scope: Scope = Scope()
    rules: tuple[LambdaRule, ...] = ()
    decoding: Decoding = Decoding()
    backbone: str | None = Field(default=None, min_length=1)
    base: str | None = Field(default=None, min_length=1)
    # Left out by default: stored recipes are known by the key of what they write.
    thinking_cap: int | None = Field(default=None, ge=1, exclude_if=_is_none)

    @field_validator("method")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            return METHODS[value].name
        except UnknownNameError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _belongs_together(self) -> "Recipe":
        method = self.merge_method
        given = {
            name: value
            for name, value in self.parameters.items()
            if not (value is None and name in _STORED)
        }
        # The class is frozen, and what is written out is the recipe's identity.
        object.__setattr__(self, "__pydantic_extra__", method.checked(given))
        if method.takes_lambda:
            if self.lambda_ is None:
                raise ValueError(f"{method.name} needs lambda, a number from 0 to 1")
        elif self.lambda_ is not None or self.rules or not self.scope.is_full:
            raise ValueError(f"{method.name} takes {method.takes}, and no lambda, scope or rules")
        if self.base is not None and not method.needs_base:
            instead = ": write backbone" if method.takes_lambda else ""
            raise ValueError(f"{method.name} takes no base{instead}")
        if self.backbone is not None and not method.takes_lambda:
            raise ValueError(f"{method.name} takes no backbone: it belongs to an interpolation")
        return self

    @model_serializer(mode="wrap")
    def _with_stored_keys(
        self, write: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """The fields, with the parameters behind the decoding where they always stood."""
        content = cast(dict[str, Any], write(self))
        own = {name: content.pop(name) for name in self.parameters}
        if not (info.exclude_none or info.exclude_defaults):
            own = dict.fromkeys(_STORED) | own
        last = {name: content.pop(name) for name in ("backbone", "base") if name in content}
        return content | own | last

    def canonical_json(self) -> str:
        """As for any plan, without the checkpoints of its own where there are none.

        Studies that were stored before recipes could name any are found by the same key.
        """
        content = json.loads(super().canonical_json())
        named = {key: value for key, value in content.items() if key not in ("backbone", "base")}
        own = {key: content[key] for key in ("backbone", "base") if content[key] is not None}
        return json.dumps(named | own, sort_keys=True, separators=(",", ":"))

    @property
    def merge_method(self) -> MergeMethod:
        """What the method declares: its capabilities, its words, its work."""
        return METHODS[self.method]

    @property
    def parameters(self) -> Values:
        """The numbers that the method declares, beside λ; defaults written out."""
        return cast(Values, self.model_extra or {})

    @property
    def values(self) -> Values:
        """The parameters, and λ where the method takes it."""
        return (
            self.parameters if self.lambda_ is None else {LAMBDA: self.lambda_, **self.parameters}
        )

    def values_at(self, layer: int | None, kind: ModuleKind) -> Values:
        """As ``values``, with the λ of a tensor of this kind in this layer."""
        if self.lambda_ is None:
            return self.parameters
        return {LAMBDA: self.lambda_at(layer, kind), **self.parameters}

    def lambda_at(self, layer: int | None, kind: ModuleKind) -> float:
        """The λ of a tensor of this kind in this layer (``None``: outside the layer stack).

        Raises:
            ValueError: the method takes no λ.
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
        """Whether it lies on the line between the pair at one λ, its thoughts not cut."""
        return self.is_one_lambda and self.thinking_cap is None

    @property
    def is_one_lambda(self) -> bool:
        """Whether the weights of the whole model lie on the line between the pair, at one λ."""
        return self.is_of_the_pair and self.scope.is_full and not self.rules

    @property
    def uncapped(self) -> "Recipe":
        """The recipe whose thoughts are not cut; itself where none are."""
        return self if self.thinking_cap is None else self.model_copy(update={"thinking_cap": None})

    @property
    def knobs(self) -> tuple[float, float] | None:
        """λ of attention (and all else) and λ of the FFN with its router; twice λ without rules.

        ``None`` where the method takes no λ, or rules give other parts a λ of their own.
        """
        if self.lambda_ is None:
            return None
        if not self.rules:
            return self.lambda_, self.lambda_
        rule = self.rules[0]
        is_knob = len(self.rules) == 1 and not rule.layers and rule.modules == FFN_KNOB
        return (self.lambda_, rule.lambda_) if is_knob else None

    @property
    def is_of_the_pair(self) -> bool:
        """Whether the weights are linear in λ between the pair's own two checkpoints."""
        return self.merge_method.is_linear and self.backbone is None

    @property
    def label(self) -> str:
        """How the recipe is shown: ``MI-0.55``, ``MI-0.8 · w/o FFN``, ``TIES``."""
        if self.thinking_cap is not None:
            whole = "Thinking" if self.uncapped == _thinking(self.decoding) else self.uncapped.label
            return f"{whole} · thought ≤ {self.thinking_cap:,}"
        parts = [self.merge_method.label(self.values)]
        if self.base:
            parts.append(f"base {_short(self.base)}")
        if self.backbone:
            parts.append(f"from {_short(self.backbone)}")
        if not self.scope.is_full:
            parts.append(str(self.scope))
        if self.rules and self.knobs:
            parts.append(f"FFN {self.knobs[1]:g}")
        elif self.rules:
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


def _thinking(decoding: Decoding) -> Recipe:
    return Recipe(lambda_=1.0, decoding=decoding)


def capped_thinking(tokens: int, decoding: Decoding | None = None) -> Recipe:
    """Thinking itself, its thought closed after so many tokens: the free way to fewer tokens."""
    return Recipe(lambda_=1.0, decoding=decoding or Decoding(), thinking_cap=tokens)


def interpolation(lambda_: float, scope: Scope | None = None) -> Recipe:
    """The recipe of W(λ) = λ·Thinking + (1 − λ)·Instruct with the paper's decoding."""
    return Recipe(lambda_=lambda_, scope=scope or Scope())


def with_knobs(like: Recipe, attention: float, ffn: float) -> Recipe:
    """A recipe with two knobs: λ of attention and of all else, and λ of the FFN with its router.

    The rest is that of ``like``. Two equal λ give the recipe without rules.
    """
    rules = () if ffn == attention else (LambdaRule(lambda_=ffn, modules=FFN_KNOB),)
    return like.model_copy(update={"lambda_": _rounded(attention), "rules": rules})
