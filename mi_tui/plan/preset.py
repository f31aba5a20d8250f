"""A preset: everything a study needs to run, as one TOML file."""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from mi_tui.plan.base import Plan
from mi_tui.plan.budget import Budget, BudgetError, require_probes
from mi_tui.plan.engine import EnginePlan, ServerSpeed
from mi_tui.plan.pair import Pair
from mi_tui.plan.probe import AnyProbe
from mi_tui.plan.recipe import Decoding, Recipe, capped_thinking
from mi_tui.plan.scope import ModuleKind, Scope
from mi_tui.plan.search import Search
from mi_tui.plan.serve import ServePlan


class Preset(Plan):
    """Everything a study needs: pair, probes, budget, scope, decoding, search, engine.

    ``recipes`` are further rows (an ablation, a baseline) evaluated beside the search over λ.
    ``server`` turns tokens into seconds; without it the speed is measured on this machine.
    ``serve`` says how ``mi-tui serve`` offers the pair with λ per request; exports write it.
    """

    of_lines: ClassVar[frozenset[str]] = frozenset({"description"})

    title: str = Field(min_length=1, max_length=80)
    description: str = ""
    group: str = Field(default="", max_length=60)
    pair: Pair
    probes: Annotated[tuple[AnyProbe, ...], Field(min_length=1)]
    budget: Budget = Budget()
    scope: Scope = Scope()
    decoding: Decoding = Decoding()
    search: Search = Search()
    engine: EnginePlan = EnginePlan()
    server: ServerSpeed | None = None
    recipes: tuple[Recipe, ...] = ()
    # Left out where it is not set: stored studies are found by the key of what they write.
    serve: ServePlan | None = Field(default=None, exclude_if=lambda value: value is None)

    @model_validator(mode="after")
    def _probe_names_differ(self) -> "Preset":
        if len(set(self.probe_names)) < len(self.probes):
            raise ValueError("two probes have the same name: give each a name of its own")
        return self

    @model_validator(mode="after")
    def _limits_are_on_probes(self) -> "Preset":
        try:
            require_probes(self.budget, self.probe_names)
        except BudgetError as error:
            raise ValueError(f"budget: {error}") from None
        return self

    @model_validator(mode="after")
    def _groups_can_be_confirmed(self) -> "Preset":
        beside = self.search.beside_uniform
        if beside and all(probe.held_out == 0.0 for probe in self.probes):
            raise ValueError(
                f"search.{beside} is judged on held-out problems: set a probe's held_out above 0"
            )
        return self

    @model_validator(mode="after")
    def _knobs_turn_something(self) -> "Preset":
        turned = {ModuleKind.ATTENTION, ModuleKind.FFN}
        if self.search.two_knobs and not turned <= set(self.scope.modules):
            raise ValueError("search.two_knobs needs attention and the FFN in the scope's modules")
        return self

    @property
    def key(self) -> str:
        """As of all plans; what the engine leaves open is taken as studies wrote it before."""
        return super(Preset, self.model_copy(update={"engine": self.engine.spelled_out})).key

    @property
    def longest_cap(self) -> int:
        """The most tokens that any response may have."""
        return max(probe.max_new_tokens for probe in self.probes)

    @property
    def probe_names(self) -> tuple[str, ...]:
        """The probes' names, in their order."""
        return tuple(probe.name or probe.kind for probe in self.probes)

    @property
    def is_ablation(self) -> bool:
        """Whether rows beside an even grid of λ, layer groups or two knobs are what is compared."""
        return bool(self.search.beside_uniform) or bool(self.recipes and not self.search.refine)

    def with_engine(self, kind: str | None) -> "Preset":
        """The same with another kind of engine, where one is given."""
        if kind is None:
            return self
        engine = EnginePlan.model_validate({**dict(self.engine), "kind": str(kind)})
        return self.model_copy(update={"engine": engine})

    def recipe(self, lambda_: float) -> Recipe:
        """The recipe of one λ under this preset's scope and decoding."""
        return Recipe(lambda_=lambda_, scope=self.scope, decoding=self.decoding)

    def with_thinking_caps(self, caps: Iterable[int]) -> "Preset":
        """The preset with a row of Thinking for each cap of its thought that has none yet."""
        rows = (*self.recipes, *(capped_thinking(cap, self.decoding) for cap in caps))
        return self.model_copy(update={"recipes": tuple(dict.fromkeys(rows))})
