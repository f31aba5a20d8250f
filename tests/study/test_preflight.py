"""The preflight: what is refused before anything is downloaded, loaded or started."""

import pytest

from mi_tui.plan.library import find_preset
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.study.preflight import require_fit
from mi_tui.study.storage.errors import StudyError


def demo(*rows: Recipe, base: str | None = None) -> Preset:
    """The demo preset with further rows."""
    preset = find_preset("demo")[1]
    pair = preset.pair.model_copy(update={"base": base})
    return preset.model_copy(update={"pair": pair, "recipes": rows})


def test_a_row_that_lacks_its_base_model_is_refused() -> None:
    dare = Recipe(method="dare", scale=0.7, density=0.2)
    with pytest.raises(StudyError, match="DARE needs a base model: name one as base"):
        require_fit(demo(dare))
    require_fit(demo(dare, base="bundled:base"))
    require_fit(demo(dare.model_copy(update={"base": "bundled:base"})))
    require_fit(demo(Recipe(method="slerp", lambda_=0.5)))
