"""The pair as plain JSON, from the study's worker to vLLM's workers."""

from typing import Any

from mi_tui.plan.base import Plan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe

LOAD_FORMAT = "mi-tui"
"""The name under which vLLM finds our loader."""

RECIPE = "mi_tui_recipe"
"""The key of a request's extra arguments that holds its recipe as JSON."""

_KEY = "mi_tui"


class PairSpec(Plan):
    """The pair and how it is held.

    ``thinking_path`` is the Thinking checkpoint's folder, as every node sees it. ``one_pass``:
    build Δ and mix per request. ``start``: load this merge in place of Instruct.
    """

    pair: Pair
    thinking_path: str
    one_pass: bool
    start: Recipe | None = None

    def additional_config(self) -> dict[str, Any]:
        """For vLLM's ``additional_config``: reaches every worker, and is part of the key under
        which vLLM keeps compiled code, so that mixed and plain models never share it."""
        return {_KEY: self.model_dump(mode="json", by_alias=True)}

    @classmethod
    def read(cls, additional_config: Any) -> "PairSpec":
        """The spec out of vLLM's ``additional_config``."""
        return cls.model_validate(additional_config[_KEY], strict=False)
