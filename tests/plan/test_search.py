"""The plan of a search: its searches beside the uniform λ, and the keys of old studies."""

import pytest
from pydantic import ValidationError

from mi_tui.plan.preset import Preset
from mi_tui.plan.scope import ModuleKind, Modules
from mi_tui.plan.search import Search
from tests.analysis.synthetic import preset


def test_a_search_without_two_knobs_writes_what_it_always_wrote() -> None:
    assert "two_knobs" not in Search().canonical_json()
    assert Search.from_json(Search(two_knobs=True).canonical_json()).two_knobs


def test_two_knobs_and_layer_groups_are_studies_of_their_own() -> None:
    with pytest.raises(ValidationError, match="studies of their own"):
        Search.model_validate({"two_knobs": True, "layer_groups": ["0-8"]})


def changed(modules: Modules | None = None, held_out: float | None = None) -> Preset:
    wanted = preset(search=Search(two_knobs=True))
    content = wanted.model_dump(mode="json", by_alias=True)
    if modules:
        content["scope"]["modules"] = list(modules)
    if held_out is not None:
        content["probes"][0]["held_out"] = held_out
    return Preset.model_validate(content, strict=False)


def test_two_knobs_need_both_to_be_mixed() -> None:
    assert changed((ModuleKind.FFN, ModuleKind.ATTENTION)).is_ablation
    for modules in (
        (ModuleKind.FFN,),
        (ModuleKind.ATTENTION, ModuleKind.MIXER),
        (ModuleKind.FFN, ModuleKind.MIXER),
    ):
        with pytest.raises(ValidationError, match="two_knobs needs attention and the FFN"):
            changed(modules)


def test_two_knobs_need_held_out_problems() -> None:
    with pytest.raises(ValidationError, match=r"search.two_knobs is judged on held-out"):
        changed(held_out=0.0)
