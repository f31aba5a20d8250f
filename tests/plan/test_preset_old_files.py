"""Presets as older versions wrote them are read today, with the keys they had."""

from pathlib import Path

import pytest

from mi_tui.plan.engine import EnginePlan, VllmOptions
from mi_tui.plan.recipe import Decoding
from mi_tui.plan.toml import read_preset, write_preset

OLD = Path(__file__).with_name("old_presets")


@pytest.mark.parametrize("file", sorted(OLD.glob("*.toml")), ids=lambda file: file.stem)
def test_a_preset_of_every_age_is_read_and_written_again_without_a_change(
    tmp_path: Path, file: Path
) -> None:
    preset = read_preset(file)
    write_preset(preset, tmp_path / "again.toml")
    assert read_preset(tmp_path / "again.toml").key == preset.key


def test_a_preset_has_the_key_that_it_had() -> None:
    # The keys that the code of schema 2 gave to these very files.
    assert read_preset(OLD / "schema-2.toml").key == "90ca910444c6b1c4"
    assert read_preset(OLD / "demo-of-schema-2.toml").key == "98e7897c7d3724fa"


def test_every_section_of_an_old_preset_says_what_it_said() -> None:
    preset = read_preset(OLD / "schema-1.toml")
    assert (preset.pair.base, preset.pair.donor) == ("bundled:base", "instruct")
    assert [probe.name or probe.kind for probe in preset.probes] == ["sums", "aime25"]
    assert (preset.probes[0].weight, preset.probes[0].samples) == (2.0, 2)
    assert (preset.budget.objective, preset.budget.limit) == ("fewest-tokens-for-score", 0.95)
    assert [(one.first, one.last) for one in preset.scope.layers] == [(0, 1)]
    assert preset.decoding == Decoding(temperature=0.7, top_p=0.9, top_k=40)
    assert (preset.search.grid, preset.search.max_rollouts) == ((0.0, 0.25, 1.0), 500)
    assert (preset.engine.threads, preset.engine.batch) == (1, 8)
    assert preset.server is not None
    assert preset.server.time_per_output_token == 0.02
    assert [recipe.lambda_ for recipe in preset.recipes] == [0.5]


def test_what_is_left_open_today_has_the_key_of_what_was_written_before() -> None:
    """Then every default was written out: transformers, and one rank of each kind."""
    preset = read_preset(OLD / "schema-2.toml")
    assert (preset.engine.kind, preset.engine.vllm.tensor_parallel_size) == ("auto", None)
    once = VllmOptions(tensor_parallel_size=1, data_parallel_size=1)
    then = preset.engine.model_copy(update={"kind": "transformers", "vllm": once})
    assert preset.model_copy(update={"engine": then}).key == preset.key
    stored = then.model_dump(mode="json")
    assert EnginePlan.model_validate(stored) == then
    assert set(stored["vllm"]) == {
        "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "executor",
        "gpu_memory_utilization", "max_model_len", "enforce_eager",
    }  # fmt: skip
    for other in (
        preset.with_engine("vllm"),
        preset.model_copy(update={"engine": EnginePlan(vllm=VllmOptions(tensor_parallel_size=2))}),
        preset.model_copy(update={"engine": EnginePlan(vllm=VllmOptions(kv_cache_dtype="fp8"))}),
    ):
        assert other.key != preset.key
