"""The λ or recipe that a request's extra arguments name.

They are vLLM's ``SamplingParams.extra_args``, or ``vllm_xargs`` in a request to its server.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mi_tui.plan.recipe import Recipe
from mi_tui.plan.toml import explain

LAMBDA = "mi_tui_lambda"
"""The key of a number from 0 to 1, also as text; served to the nearest 1/256."""

RECIPE = "mi_tui_recipe"
"""The key of a recipe as JSON, or of a number as under ``LAMBDA``; a recipe's λ is kept exactly."""

_OURS = "mi_tui_"
_LONGEST = 1 << 14


def requested(extra_args: Mapping[str, Any] | None) -> float | Recipe | None:
    """What a request asks for; ``None`` where it names nothing.

    Raises:
        ValueError: in one line, why it cannot be served.
    """
    own = {key: value for key, value in (extra_args or {}).items() if key.startswith(_OURS)}
    if unknown := sorted(own.keys() - {LAMBDA, RECIPE}):
        raise ValueError(f"{unknown[0]!r} is no argument: name {LAMBDA} or {RECIPE}")
    if len(own) > 1:
        raise ValueError(f"name {LAMBDA} or {RECIPE}, not both")
    if LAMBDA in own:
        return _lambda(LAMBDA, own[LAMBDA])
    return _recipe(own[RECIPE]) if RECIPE in own else None


def _lambda(key: str, value: Any) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool) or not 0 <= number <= 1:
        raise ValueError(f"{key} must be a number from 0 to 1, not {_short(value)}")
    return number


def _recipe(value: Any) -> float | Recipe:
    if not (isinstance(value, str) and value.lstrip().startswith("{")):
        return _lambda(RECIPE, value)
    if len(value) > _LONGEST:
        raise ValueError(f"{RECIPE} is longer than {_LONGEST:,} characters")
    try:
        recipe = Recipe.model_validate_json(value)
    except ValidationError as error:
        said = " ".join(explain(error.errors()).removeprefix("preset: ").split())
        raise ValueError(f"{RECIPE}: {said}") from error
    if not recipe.is_of_the_pair or recipe.thinking_cap is not None:
        raise ValueError(
            f"{RECIPE}: {recipe.label} cannot be mixed request by request, only an interpolation "
            "of the pair"
        )
    return recipe


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
