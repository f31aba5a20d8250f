"""The presets of the paper's tables and figures: they load, and their rows are the paper's."""

from pathlib import Path

import pytest

from mi_tui.plan.engine import VllmOptions
from mi_tui.plan.library import find_preset, list_presets
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Decoding, Recipe, labels
from mi_tui.plan.scope import ModuleKind
from mi_tui.plan.toml import PresetError, read_preset, write_preset

PAPER = [entry.name for entry in list_presets() if entry.name.startswith("paper-")]
FULL = [name for name in PAPER if not name.endswith("-quick")]
PAPER_4B_LAMBDAS = {0.0, 0.2, 0.4, 0.45, 0.5, 0.55, 0.6, 0.8, 1.0}


def preset(name: str) -> Preset:
    return find_preset(name)[1]


def rows(name: str) -> tuple[Recipe, ...]:
    found = preset(name)
    return (*(found.recipe(value) for value in found.search.grid), *found.recipes)


def test_both_pairs_have_every_table_in_full_and_quick() -> None:
    kinds = ("main", "layers", "modules", "decoding", "backbones")
    wanted = {f"paper-{size}-{kind}" for size in ("4b", "30b") for kind in kinds}
    assert set(FULL) == wanted
    assert set(PAPER) == wanted | {f"{name}-quick" for name in wanted}


@pytest.mark.parametrize("name", PAPER)
def test_a_preset_says_which_table_it_fills_and_asks_no_search(name: str) -> None:
    found = preset(name)
    assert any(word in found.title for word in ("Table", "Figure"))
    assert "paper" in found.description
    assert not found.search.refine
    assert all(probe.held_out == 0.0 for probe in found.probes)
    assert len(set(rows(name))) == len(rows(name))
    assert len(set(labels(rows(name)))) == len(rows(name))


@pytest.mark.parametrize(
    "name", [*PAPER, "qwen3-4b", "qwen3-30b-a3b", "llama-3.1-8b", "ministral-3-8b", "olmo-3-7b"]
)
def test_a_preset_for_gpus_leaves_engine_and_sizes_to_the_plan(name: str) -> None:
    engine = preset(name).engine
    assert (engine.kind, engine.mode, engine.vllm) == ("auto", "auto", VllmOptions())
    assert (engine.vllm.tensor_parallel_size, engine.vllm.data_parallel_size) == (None, None)


@pytest.mark.parametrize("name", FULL)
def test_the_quick_version_has_the_same_rows_at_a_fraction_of_the_cost(name: str) -> None:
    assert rows(f"{name}-quick") == rows(name)
    full, quick = preset(name), preset(f"{name}-quick")
    assert [probe.kind for probe in quick.probes] == [probe.kind for probe in full.probes]
    for ours, theirs in zip(quick.probes, full.probes, strict=True):
        assert ours.samples is not None
        assert theirs.samples is not None
        assert ours.samples * 4 <= theirs.samples
        assert ours.max_new_tokens < theirs.max_new_tokens


@pytest.mark.parametrize("name", FULL)
def test_samples_are_the_papers(name: str) -> None:
    samples = {probe.kind: probe.samples for probe in preset(name).probes}
    assert samples.pop("aime25") == 64
    assert samples == ({"ifeval": 8, "gpqa-diamond": 8} if name.endswith("main") else {})


def test_table_2_has_every_row_of_the_paper() -> None:
    found = rows("paper-4b-main")
    assert {row.lambda_ for row in found if row.method == "interpolation"} == PAPER_4B_LAMBDAS
    baselines = [
        (row.method, *row.parameters.values(), row.base)
        for row in found
        if row.merge_method.needs_base
    ]
    assert baselines == [
        ("task-arithmetic", 0.7, None),
        ("task-arithmetic", 0.7, "Qwen/Qwen3-4B-Base"),
        ("ties", 0.5, 0.2, None),
        ("ties", 0.5, 0.2, "Qwen/Qwen3-4B-Base"),
        ("dare", 0.7, 0.2, 0, None),
    ]
    assert [row.lambda_ for row in found if row.method == "slerp"] == [0.5]
    assert preset("paper-4b-main").pair.base == "Qwen/Qwen3-4B"
    instruct = [row.decoding for row in found if row.lambda_ == 0.0]
    assert Decoding(temperature=0.7, top_p=0.8, top_k=20) in instruct


def test_other_pairs_search_where_the_stages_may_lie() -> None:
    for name in ("llama-3.1-8b", "olmo-3-7b", "ministral-3-8b"):
        found = preset(name)
        assert {0.4, 0.5, 0.6, 0.7, 0.8} <= set(found.search.grid), name
        assert found.search.refine
        assert found.pair.base is not None
        assert found.decoding == Decoding()
    assert "R1-Distill" in preset("llama-3.1-8b").title


def test_every_other_row_is_decoded_as_the_paper_decodes_merged_models() -> None:
    for name in PAPER:
        if "decoding" not in name:
            usual = [row for row in rows(name) if row.decoding == Decoding(top_k=20)]
            assert len(rows(name)) - len(usual) == ("main" in name)


def test_the_layer_rows_are_the_papers_thirds() -> None:
    scopes = [str(row.scope) for row in preset("paper-4b-layers").recipes]
    assert scopes == [f"layers {part}" for part in ("0–11", "12–23", "24–35", "0–23", "12–35")]
    last = preset("paper-30b-layers").recipes[-1]
    assert str(last.scope) == "layers 16–47"
    assert {row.lambda_ for row in preset("paper-4b-layers").recipes} == {0.8}


def test_the_module_rows_leave_out_attention_and_ffn() -> None:
    dense = [str(row.scope) for row in preset("paper-4b-modules").recipes]
    assert dense == ["w/o attention", "w/o FFN"]
    mixture = preset("paper-30b-modules").recipes[1].scope.modules
    assert not {ModuleKind.FFN, ModuleKind.ROUTER} & set(mixture)


def test_the_decoding_cells_are_the_papers_grid() -> None:
    cells = {
        (row.decoding.temperature, row.decoding.top_p)
        for row in rows("paper-4b-decoding")
        if row.lambda_ == 0.4
    }
    assert cells == {(t, p) for t in (0.6, 0.65, 0.7) for p in (0.8, 0.85, 0.9, 0.95)}


def test_the_backbones_are_the_hybrid_and_the_pretrained_model() -> None:
    found = preset("paper-4b-backbones").recipes
    assert [row.backbone for row in found] == ["Qwen/Qwen3-4B", "Qwen/Qwen3-4B-Base"]


def test_lists_put_the_demo_first_and_small_models_before_large_ones() -> None:
    names = [entry.name for entry in list_presets()]
    assert names[0] == "demo"
    assert names.index("qwen3-4b") < names.index("paper-4b-main") < names.index("paper-30b-main")
    groups = [entry.group for entry in list_presets()]
    assert groups == sorted(groups, key=groups.index)


def test_extending_merges_tables_and_replaces_the_rest(tmp_path: Path) -> None:
    write_preset(preset("demo"), tmp_path / "below.toml")
    above = tmp_path / "above.toml"
    above.write_text('extends = "below"\ntitle = "Above"\n[search]\nsamples = 1\n')
    found, demo = read_preset(above), preset("demo")
    assert found.title == "Above"
    assert found.search == demo.search.model_copy(update={"samples": 1})
    assert found.probes == demo.probes
    write_preset(found, above)
    assert read_preset(above) == found


def test_a_users_preset_extends_a_bundled_one(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "demo"\n[budget]\nlimit = 40\n')
    assert read_preset(mine).budget.limit == 40


@pytest.mark.parametrize(
    ("below", "says"), [("above", "leads back to itself"), ("nothing", "nothing.toml, which")]
)
def test_what_cannot_be_extended_is_said_in_a_line(tmp_path: Path, below: str, says: str) -> None:
    above = tmp_path / "above.toml"
    above.write_text(f'extends = "{below}"\n')
    with pytest.raises(PresetError, match=says):
        read_preset(above)


def test_a_row_without_decoding_has_the_presets_and_one_with_keeps_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.toml"
    path.write_text(
        'title = "Rows"\n'
        "recipes = [{ lambda = 0.8 }, { lambda = 0.7, decoding = { temperature = 0.6 } }]\n"
        '[pair]\ninstruct = "a"\nthinking = "b"\n[[probes]]\nkind = "arithmetic"\n'
        "[decoding]\ntop_k = 20\n"
    )
    found = read_preset(path)
    assert [row.decoding.top_k for row in found.recipes] == [20, 0]
    again = tmp_path / "again.toml"
    write_preset(found, again)
    assert read_preset(again) == found
