"""The rows of ablations, and the presets that a finished study is turned into."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.analysis.ablation.rows import (
    AblationKind,
    ablation_rows,
    equal_groups,
    full_interpolation,
    thirds,
)
from mi_tui.plan.library import find_preset
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Decoding
from mi_tui.plan.scope import DECODER_MODULES, ModuleKind, parse_layers
from mi_tui.plan.toml import read_preset, write_preset
from mi_tui.study.ablation_preset import ablation_of, from_study
from mi_tui.study.control import create_study
from mi_tui.study.storage.errors import StudyError

REFERENCE = full_interpolation(0.8, Decoding(top_k=20))
DENSE = tuple(kind for kind in DECODER_MODULES if kind is not ModuleKind.ROUTER)


def demo() -> Preset:
    return find_preset("demo")[1]


def test_thirds_of_the_papers_model_are_the_papers_ranges() -> None:
    rows = ablation_rows(AblationKind.LAYERS, REFERENCE, 36)
    labels = [row.label for row in rows]
    assert labels == [
        f"MI-0.8 · layers {part}" for part in ("0–11", "12–23", "24–35", "0–23", "12–35")
    ]


@given(st.integers(1, 200), st.integers(1, 12))
def test_groups_take_every_layer_once_and_are_even(layers: int, groups: int) -> None:
    parts = equal_groups(layers, groups)
    covered = [at for (part,) in parts for at in range(part.first, part.last + 1)]
    sizes = [part.last - part.first + 1 for (part,) in parts]
    assert covered == list(range(layers))
    assert len(parts) == min(layers, groups)
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 200))
def test_thirds_are_inside_the_model_and_differ(layers: int) -> None:
    parts = thirds(layers)
    assert len(set(parts)) == len(parts)
    assert all(part.last < layers for (part,) in parts)


def test_a_dense_models_rows_do_not_speak_of_routers() -> None:
    labels = [row.label for row in ablation_rows(AblationKind.MODULES, REFERENCE, 36, DENSE)]
    assert labels[:2] == ["MI-0.8 · w/o attention", "MI-0.8 · w/o FFN"]
    assert not any("router" in label for label in labels)
    mixture = [row.label for row in ablation_rows(AblationKind.MODULES, REFERENCE, 48)]
    assert "MI-0.8 · w/o FFN, router" in mixture


def test_the_decoding_grid_has_every_cell_but_the_references_own() -> None:
    rows = ablation_rows(AblationKind.DECODING, REFERENCE, 36)
    cells = {(row.decoding.temperature, row.decoding.top_p) for row in (REFERENCE, *rows)}
    assert len(rows) == 11
    assert len(cells) == 12
    assert {row.decoding.top_k for row in rows} == {20}


def test_layers_by_modules_crosses_every_part_with_every_module_set() -> None:
    rows = ablation_rows(AblationKind.LAYERS_MODULES, REFERENCE, 36, DENSE)
    scopes = {(row.scope.layers, row.scope.modules) for row in (REFERENCE, *rows)}
    assert len(scopes) == 4 * 3


@pytest.mark.parametrize("kind", list(AblationKind))
def test_an_ablation_preset_survives_its_file(kind: AblationKind, tmp_path: Path) -> None:
    found = ablation_of(demo(), kind, 0.58, 4, DENSE)
    path = tmp_path / "ablation.toml"
    write_preset(found, path)
    assert read_preset(path) == found
    assert len(set(found.recipes)) == len(found.recipes)
    assert found.recipe(0.58) not in found.recipes
    assert 0.58 in found.search.grid
    assert found.search.seed != demo().search.seed


def test_only_layer_groups_hold_problems_out() -> None:
    layers = ablation_of(demo(), AblationKind.LAYERS, 0.58, 4)
    groups = ablation_of(demo(), AblationKind.LAYER_GROUPS, 0.58, 4)
    assert layers.probes[0].held_out == 0.0
    assert groups.probes[0].held_out == demo().probes[0].held_out
    assert len(groups.search.layer_groups) == 4
    none_held_out = find_preset("paper-4b-layers")[1]
    groups = ablation_of(none_held_out, AblationKind.LAYER_GROUPS, 0.8, 36)
    assert groups.probes[0].held_out > 0
    assert Preset.from_json(groups.canonical_json()) == groups


def test_two_knobs_are_asked_around_the_lambda_and_held_out() -> None:
    found = ablation_of(demo(), AblationKind.TWO_KNOBS, 0.58, 4)
    assert found.search.two_knobs
    assert found.recipes == ()
    assert {0.0, 0.48, 0.58, 0.68, 1.0} == set(found.search.grid)
    none_held_out = find_preset("paper-4b-layers")[1]
    assert ablation_of(none_held_out, AblationKind.TWO_KNOBS, 0.8, 36).probes[0].held_out > 0
    with pytest.raises(StudyError, match="takes no layers"):
        ablation_of(demo(), AblationKind.TWO_KNOBS, 0.6, 4, layers=[parse_layers("0-1")])


def test_custom_layers_become_the_rows() -> None:
    parts = [parse_layers("0-1"), parse_layers("0,3")]
    found = ablation_of(demo(), AblationKind.LAYERS, 0.6, 4, layers=parts)
    assert [str(row.scope) for row in found.recipes] == ["layers 0–1", "layers 0,3"]
    with pytest.raises(StudyError, match="takes no layers"):
        ablation_of(demo(), AblationKind.MODULES, 0.6, 4, layers=parts)


def test_baselines_are_refused_without_a_base_model() -> None:
    found = ablation_of(demo(), AblationKind.BASELINES, 0.6, 4)
    assert [row.method for row in found.recipes] == [
        "task-arithmetic",
        "ties",
        "dare",
        "slerp",
    ]
    pair = demo().pair.model_copy(update={"base": None})
    with pytest.raises(StudyError, match="need a base model"):
        ablation_of(demo().model_copy(update={"pair": pair}), AblationKind.BASELINES, 0.6, 4)


def test_a_long_title_still_fits() -> None:
    long = demo().model_copy(update={"title": "x" * 80})
    found = ablation_of(long, AblationKind.LAYERS_MODULES, 0.55, 4)
    assert len(found.title) <= 80
    assert found.title.endswith("layers-modules at λ 0.55")


def test_a_study_without_an_answer_needs_a_lambda(tmp_path: Path) -> None:
    path = create_study(demo(), tmp_path / "new")
    with pytest.raises(StudyError, match="no recommendation yet"):
        from_study(path, AblationKind.LAYERS)
    found = from_study(path, "layers", lambda_=0.5, quick=True)
    assert 0.5 in found.search.grid
    assert len(found.recipes) == 5
    assert found.probes[0].problems == 32
