"""The plan of a search over λ: its grid, its samples and where it stops."""

from itertools import pairwise

from pydantic import Field, field_validator, model_validator

from mi_tui.plan.base import Plan
from mi_tui.plan.recipe import Lambda
from mi_tui.plan.scope import Layers


class Search(Plan):
    """How λ is searched and when the search stops.

    ``grid`` is the coarse grid, with both ends; ``samples`` are the samples per problem wanted
    of each coarse recipe; ``tolerance`` is the expected loss of score (0 to 1) at which the
    recommendation counts as settled. The limits count everything the study generates.
    ``layer_groups``, such as ``["0-17", "18-35"]``, asks for a λ of its own for each group of
    layers, searched once the uniform λ is found and compared with it on held-out problems.
    ``two_knobs`` asks in the same way for a λ of attention and a λ of the FFN.
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
    # Left out where it is not set: stored studies are found by the key of what they write.
    two_knobs: bool = Field(default=False, exclude_if=lambda value: not value)

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

    @model_validator(mode="after")
    def _one_search_beside_the_uniform(self) -> "Search":
        if self.two_knobs and self.layer_groups:
            raise ValueError("two_knobs and layer_groups are searched in studies of their own")
        return self

    @property
    def beside_uniform(self) -> str:
        """The setting that has more than one λ in a model searched; empty without one."""
        return "two_knobs" if self.two_knobs else "layer_groups" if self.layer_groups else ""
