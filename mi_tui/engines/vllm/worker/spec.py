"""The pair as plain JSON, from the study's worker to vLLM's workers."""

from typing import Any

from pydantic import field_validator

from mi_tui.plan.base import Plan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe, interpolation

LOAD_FORMAT = "mi-tui"
"""The name under which vLLM finds our loader."""

ADMISSION = "mi_tui.engines.vllm.worker.admission:LambdaAdmission"
"""For vLLM's ``logits_processors``: the class that refuses requests without a usable λ."""

EXTENSION = "mi_tui.engines.vllm.worker.extension.WorkerExtension"
"""For vLLM's ``worker_extension_cls``."""

_KEY = "mi_tui"


class PairSpec(Plan):
    """The pair and how it is held.

    ``pair`` names its checkpoints as every node sees them. ``one_pass``: build Δ and mix per
    request. ``required``: do not start where that cannot be done, instead of
    leaving the weights to be switched. ``salted``: whoever sends requests gives each recipe a
    cache salt of its own, so that prompts may be cached. ``default``: the recipe of a request that
    names none; it has to be an interpolation of the pair. ``start``: load this merge in place of
    Instruct.
    """

    pair: Pair
    one_pass: bool
    required: bool = False
    salted: bool = False
    default: Recipe = interpolation(0.0)
    start: Recipe | None = None

    @field_validator("default")
    @classmethod
    def _mixes(cls, value: Recipe) -> Recipe:
        if not value.is_of_the_pair:
            raise ValueError(f"{value.label} is no interpolation of the pair")
        return value

    def additional_config(self) -> dict[str, Any]:
        """For vLLM's ``additional_config``: reaches every worker, and is part of the key under
        which vLLM keeps compiled code, so that mixed and plain models never share it."""
        return {_KEY: self.model_dump(mode="json", by_alias=True)}

    @classmethod
    def read(cls, additional_config: Any) -> "PairSpec":
        """The spec out of vLLM's ``additional_config``."""
        return cls.model_validate(additional_config[_KEY], strict=False)
