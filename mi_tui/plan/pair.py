"""The pair: which checkpoints are mixed."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from mi_tui.plan.base import Plan
from mi_tui.plan.method import Role
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.thinking_tags import ThinkingTags, named_tags

Tag = Annotated[str, StringConstraints(min_length=1, max_length=100)]


PredictionLayers = Literal["keep", "drop"]
"""What a merged checkpoint does with layers that predict further tokens (``mtp.*``)."""


def _is_unset(value: object) -> bool:
    return not value


def _is_keep(value: object) -> bool:
    return value == "keep"


class Pair(Plan):
    """The checkpoints to mix: a local directory, a hub id, or ``bundled:NAME``.

    A hub id may carry a revision (``owner/name@revision``). ``base`` is the model that both
    sides were trained from, for the methods that need it.
    ``donor`` names the side that gives a merged checkpoint its config, tokenizer, chat template
    and generation config. ``thinking_tags`` are what opens and closes a thought; by default those
    that the checkpoints' templates and tokens name. ``chat_template_kwargs`` is given to the chat
    template, such as ``{enable_thinking = true}`` or ``{reasoning_effort = "high"}``.
    ``prediction_layers`` says whether a merged checkpoint has layers that predict further tokens:
    ``keep`` mixes those of both sides and takes the donor's where one side has them, ``drop``
    leaves them out. What the model says is the same.
    """

    instruct: str = Field(min_length=1)
    thinking: str = Field(min_length=1)
    base: str | None = None
    donor: Literal["instruct", "thinking"] = "thinking"
    trust_remote_code: bool = False
    # Left out where nothing is set: stored studies are found by the key of what they write.
    thinking_tags: tuple[Tag, Tag] | None = Field(default=None, exclude_if=_is_unset)
    chat_template_kwargs: dict[str, bool | int | float | str] = Field(
        default_factory=dict, exclude_if=_is_unset
    )

    prediction_layers: PredictionLayers = Field(default="keep", exclude_if=_is_keep)

    @field_validator("chat_template_kwargs", mode="before")
    @classmethod
    def _are_settings(cls, given: Any) -> Any:
        for name, value in given.items() if isinstance(given, dict) else ():
            is_finite = not isinstance(value, float) or math.isfinite(value)  # as all JSON is
            if not isinstance(value, bool | int | float | str) or not is_finite:
                raise ValueError(f"{name} must be text, a finite number, true or false")
        return given

    def reference(self, role: Role) -> str | None:
        """The checkpoint of this role; ``None`` for a base that there is not."""
        return {"instruct": self.instruct, "thinking": self.thinking, "base": self.base}[role]

    @property
    def donor_reference(self) -> str:
        """The donor's checkpoint."""
        return self.sides[0]

    @property
    def sides(self) -> tuple[str, str]:
        """The donor's checkpoint, then the other side's."""
        both = (self.instruct, self.thinking)
        return both if self.donor == "instruct" else both[::-1]

    @property
    def own_tags(self) -> tuple[ThinkingTags, ...]:
        """The tags that are set here; none where the checkpoints are asked."""
        return () if self.thinking_tags is None else (named_tags(*self.thinking_tags),)

    def of(self, recipe: Recipe) -> "Pair":
        """The pair that a recipe mixes: this one, but for the checkpoints it names itself."""
        changed = {"instruct": recipe.backbone or self.instruct, "base": recipe.base or self.base}
        return self.model_copy(update=changed)
