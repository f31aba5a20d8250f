"""A preset: everything a study needs to run, as one TOML file."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mi_tui.plan.base import Plan
from mi_tui.plan.budget import Budget
from mi_tui.plan.pair import Pair as Pair
from mi_tui.plan.probe import AnyProbe
from mi_tui.plan.recipe import Decoding, Lambda, Recipe
from mi_tui.plan.scope import Layers, Scope
from mi_tui.plan.vllm_options import VllmOptions


class Search(Plan):
    """How λ is searched and when the search stops.

    ``grid`` is the coarse grid, with both ends; ``samples`` are the samples per problem wanted
    of each coarse recipe; ``tolerance`` is the expected loss of score (0 to 1) at which the
    recommendation counts as settled. The limits count everything the study generates.
    ``layer_groups``, such as ``["0-17", "18-35"]``, asks for a λ of its own for each group of
    layers, searched once the uniform λ is found and compared with it on held-out problems.
    """

    grid: tuple[Lambda, ...] = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
    samples: int = Field(default=4, ge=1)
    refine: bool = True
    tolerance: float = Field(default=0.01, gt=0.0, lt=1.0)
    max_rollouts: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_minutes: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0)
    layer_groups: tuple[Layers, ...] = ()

    @field_validator("grid")
    @classmethod
    def _sorted_with_ends(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) < 2:
            raise ValueError("the grid needs at least two values of λ")
        return tuple(sorted(set(value)))

    @field_validator("layer_groups")
    @classmethod
    def _groups_apart(cls, value: tuple[Layers, ...]) -> tuple[Layers, ...]:
        ranges = sorted((part.first, part.last) for group in value for part in group)
        overlap = any(after[0] <= before[1] for before, after in pairwise(ranges))
        if overlap or not all(value):
            raise ValueError('layer groups share no layer: write ["0-17", "18-35"], not all')
        return value


class EnginePlan(Plan):
    """Which engine generates, and how.

    ``mode``: ``one-pass`` evaluates rows of different λ in one batch, ``in-place`` switches the
    weights, ``auto`` takes the cheaper of the two. ``batch`` is the number of rows generated at
    once (``None``: from free memory). ``processes`` is the number of engine processes (``None``:
    one for each GPU where the model fits on one, else a single one). ``vllm`` is read where the
    kind is ``vllm``.
    """

    kind: Literal["transformers", "vllm"] = "transformers"
    mode: Literal["auto", "one-pass", "in-place"] = "auto"
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch: int | None = Field(default=None, ge=1)
    threads: int | None = Field(default=None, ge=1)
    processes: int | None = Field(default=None, ge=1, le=64)
    vllm: VllmOptions = VllmOptions()


class ServerSpeed(Plan):
    """How fast the server is that will run the merged model, as its owner knows it.

    ``time_to_first_token`` and ``time_per_output_token`` are seconds of one response at the load
    that is meant. They take the place of what is measured on this machine.
    """

    time_to_first_token: float = Field(ge=0.0, lt=3600.0)
    time_per_output_token: float = Field(gt=0.0, lt=3600.0)


class Preset(Plan):
    """Everything a study needs: pair, probes, budget, scope, decoding, search, engine.

    ``recipes`` are further rows (an ablation, a baseline) evaluated beside the search over λ.
    ``server`` turns tokens into seconds; without it the speed is measured on this machine.
    """

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

    @model_validator(mode="after")
    def _probe_names_differ(self) -> "Preset":
        names = [probe.name or probe.kind for probe in self.probes]
        if len(set(names)) < len(names):
            raise ValueError("two probes have the same name: give each a name of its own")
        return self

    @model_validator(mode="after")
    def _groups_can_be_confirmed(self) -> "Preset":
        if self.search.layer_groups and all(probe.held_out == 0.0 for probe in self.probes):
            raise ValueError(
                "search.layer_groups is judged on held-out problems: set a probe's held_out above 0"
            )
        return self

    def recipe(self, lambda_: float) -> Recipe:
        """The recipe of one λ under this preset's scope and decoding."""
        return Recipe(lambda_=lambda_, scope=self.scope, decoding=self.decoding)
