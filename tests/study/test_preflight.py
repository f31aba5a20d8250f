"""The preflight: what transformers says of a pair before any weights are read."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mi_tui.api.checkpoints import check
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect
from mi_tui.checkpoints.locate import Location, locate
from mi_tui.engines.open import open_engine
from mi_tui.machine.gpus import Gpu
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.library import find_preset
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.study import preflight
from mi_tui.study.preflight import require_fit
from mi_tui.study.storage.errors import StudyError
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import change_json, load, store
from tests.families.configs import CONFIGS
from tests.families.pair import build_pair
from tests.study.presets import small_preset


def rename(folder: Path, old: str, new: str) -> None:
    store(folder, {name.replace(old, new): tensor for name, tensor in load(folder).items()})


def said(paths: tuple[Path, ...], level: str) -> list[str]:
    report = check(*paths)
    return [f"{f.subject}: {f.message}" for f in report.findings if f.level == level]


def test_names_that_no_rule_knows_are_found_by_transformers(tmp_path: Path) -> None:
    """Both sides agree with each other, and neither would load."""
    paths = tiny_pair("gemma3", tmp_path)
    for folder in paths:
        rename(folder, "q_norm", "query_norm")
    report = check(*paths, loading=False)
    assert report.ok
    errors = said(paths, "error")
    assert len(errors) == 2
    assert "no weights for model.layers.0.self_attn.q_norm.weight" in errors[0]
    assert "no place for model.layers.0.self_attn.query_norm.weight" in errors[0]


def test_a_family_unknown_to_transformers_can_be_merged_only(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path)
    for folder in paths:
        change_json(folder / "config.json", model_type="of_the_future", architectures=["Future"])
    assert check(*paths).ok
    warnings = said(paths, "warning")
    assert sum("can be merged, not studied" in words for words in warnings) == 2
    assert any(words.startswith("engine: merge only: ") for words in warnings)


def test_a_difference_by_a_default_that_one_side_leaves_out(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path)
    change_json(paths[0] / "config.json", rms_norm_eps=0.25)
    config = (paths[1] / "config.json").read_text()
    assert '"rms_norm_eps": 1e-06' in config
    (paths[1] / "config.json").write_text(config.replace('"rms_norm_eps": 1e-06,', ""))
    warnings = said(paths, "warning")
    assert any("rms_norm_eps is 0.25 in instruct, 1e-06 in thinking" in w for w in warnings)


def test_a_study_of_weights_that_are_not_here_is_refused_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = tiny_pair("gemma3", tmp_path)
    for folder in paths:
        rename(folder, "q_norm", "query_norm")
    pair = Pair(instruct=str(paths[0]), thinking=str(paths[1]))
    preset = small_preset().model_copy(update={"pair": pair})
    require_fit(preset)

    def only_headers(reference: str, *, weights: bool = True) -> Location:
        assert not weights
        found = locate(reference)
        return Location(found.reference, found.path, has_weights=False)

    def headers_of(place: Location) -> CheckpointInfo:
        return replace(inspect(Location(place.reference, place.path)), location=place)

    monkeypatch.setattr(preflight, "locate", only_headers)
    monkeypatch.setattr(preflight, "inspect", headers_of)
    with pytest.raises(StudyError, match=r"query_norm\.weight"):
        require_fit(preset)


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


def test_a_pair_that_one_pass_cannot_mix_is_said_to_run_in_place(tmp_path: Path) -> None:
    """And no memory is reckoned with for one pass."""
    pair = build_pair(CONFIGS["lfm2"](), tmp_path)
    found = {finding.subject: finding.message for finding in check(*pair).findings}
    assert found["engine"] == (
        "in place: model.layers.0.conv.conv is a Conv1d, which one pass cannot mix; requests "
        "start together: its short convolution layers keep a state that slots cannot hold"
    )
    assert found["memory"].startswith("in place on the CPU")


def test_a_pair_that_is_equal_where_one_pass_cannot_mix_is_said_to_run_in_one_pass(
    tmp_path: Path,
) -> None:
    pair = build_pair(CONFIGS["glm4_moe"](), tmp_path)
    found = {finding.subject: finding.message for finding in check(*pair).findings}
    assert found["engine"].startswith("in place: model.layers.1.mlp.gate.e_score_correction_bias")
    biases = {k: v for k, v in load(pair[0]).items() if k.endswith("e_score_correction_bias")}
    store(pair[1], load(pair[1]) | biases)
    found = {finding.subject: finding.message for finding in check(*pair).findings}
    assert found["engine"] == "one pass"
    plan = EnginePlan(device="cpu", dtype="float32", threads=1)
    engine = open_engine(plan, Pair(instruct=str(pair[0]), thinking=str(pair[1])))
    assert engine.capabilities.mixes_recipes
    engine.close()


def test_a_dense_pair_is_said_to_run_in_one_pass_or_as_asked(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path)
    found = {finding.subject: finding.message for finding in check(*paths).findings}
    assert found["engine"] == "one pass"
    assert found["memory"].startswith("one pass on the CPU")
    plan = EnginePlan(mode="in-place")
    found = {one.subject: one.message for one in check(*paths, engine=plan).findings}
    assert found["engine"] == "in place: as asked"


def test_a_cap_that_cannot_fit_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The demo pair takes 2 KiB of cache a token, in float32."""
    small = Machine((), 1 << 30, 64 << 20)
    monkeypatch.setattr(preflight, "usable_machine", lambda: small)
    preset = small_preset()
    choice = require_fit(preset)
    assert (choice.kind, choice.chosen, choice.memory.cap) == ("transformers", True, 160)
    longest = choice.memory.longest
    assert longest > 160
    probe = preset.probes[0]
    for cap in (longest + 100_000, 10_000_000):
        with pytest.raises(StudyError, match="does not fit: a response of") as refused:
            require_fit(with_cap(preset, cap))
        (most,) = re.findall(r"set the cap to ([0-9,]+) at most", str(refused.value))
        assert require_fit(with_cap(preset, int(most.replace(",", "")))).memory.fits
    assert probe.max_new_tokens == 160


def with_cap(preset: Preset, cap: int) -> Preset:
    probe = preset.probes[0].model_copy(update={"max_new_tokens": cap})
    return preset.model_copy(update={"probes": (probe,)})


def test_the_choice_is_a_finding_and_its_plan_is_data(monkeypatch: pytest.MonkeyPatch) -> None:
    a100s = (Gpu("A100", 40 << 30, 39 << 30),) * 4
    monkeypatch.setattr(
        preflight, "usable_machine", lambda: Machine(a100s, 400 << 30, 400 << 30, 16)
    )
    monkeypatch.setattr("mi_tui.engines.choice.find_spec", lambda _: object())
    _, demo = find_preset("demo")
    pair = demo.pair.instruct, demo.pair.thinking
    report = check(*pair, cap=81_920, loading=False)
    words = {finding.subject: finding.message for finding in report.findings}
    assert words["engine choice"].startswith("vLLM, chosen: a GPU is there")
    assert words["memory"].startswith("vLLM, all recipes in one pass, 4 copies (needs 2.31 MiB of")
    assert report.choice is not None
    assert report.choice.memory.copies == 4
    short = check(*pair, cap=512, loading=False)
    assert short.choice is not None
    assert (short.choice.kind, short.choice.memory.copies) == ("transformers", 4)
    asked = check(*pair, cap=512, engine=EnginePlan(kind="vllm"), loading=False)
    assert asked.choice is not None
    assert (asked.choice.kind, asked.choice.why) == ("vllm", "as asked")
