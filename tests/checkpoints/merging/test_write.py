"""Merging: exact, for every family and layout, loaded by plain transformers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.merging.in_memory import mixed_tensors
from mi_tui.checkpoints.merging.manifest import read_manifest, verify
from mi_tui.checkpoints.merging.plan import plan_merge, plan_weighted_sum
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype
from mi_tui.checkpoints.merging.write import carry_out, merge
from mi_tui.checkpoints.roles import role_of
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import LambdaRule, Recipe, interpolation, with_knobs
from mi_tui.plan.scope import ModuleKind, Scope, parse_layers
from tests.checkpoints.families import FAMILIES, tiny_pair
from tests.checkpoints.weights import change_json, load, same_bits, store


def as_pair(paths: tuple[Path, ...], **values: object) -> Pair:
    base = str(paths[2]) if len(paths) > 2 else None
    return Pair.model_validate(
        {"instruct": str(paths[0]), "thinking": str(paths[1]), "base": base} | values
    )


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("qwen3")
    return tiny_pair("qwen3", folder, shards=(3, 2), dtype=torch.bfloat16, base=True)


@pytest.mark.parametrize(
    ("family", "dtype"),
    [(family, torch.bfloat16) for family in FAMILIES]
    + [("gemma3", torch.float16), ("qwen3_moe", torch.float32)],
    ids=str,
)
def test_every_family_is_mixed_and_loads(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    paths = tiny_pair(family, tmp_path, shards=(3, 2), dtype=dtype)
    out = tmp_path / "out"
    merge(interpolation(0.55), as_pair(paths), out, shard_bytes=40_000)
    one, two, merged = load(paths[0]), load(paths[1]), load(out)
    assert merged.keys() == one.keys() == two.keys()
    for name, tensor in merged.items():
        assert same_bits(tensor, mix(one[name], two[name], 0.55)), name
    loaded: Any = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    model, report = loaded
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    assert model.dtype == dtype
    prompt = AutoTokenizer.from_pretrained(out)("one two three", return_tensors="pt")
    assert model(**prompt).logits.isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("lambda_", "side"), [(0.0, 0), (1.0, 1)])
def test_the_ends_are_the_inputs(family: str, lambda_: float, side: int, tmp_path: Path) -> None:
    paths = tiny_pair(family, tmp_path, shards=2, dtype=torch.bfloat16)
    merge(interpolation(lambda_), as_pair(paths), tmp_path / "out")
    expected, merged = load(paths[side]), load(tmp_path / "out")
    assert merged.keys() == expected.keys()
    assert all(same_bits(merged[name], expected[name]) for name in expected)


@pytest.mark.parametrize("tie", [True, False])
def test_heads_stay_tied_or_untied(tie: bool, tmp_path: Path) -> None:
    paths = tiny_pair("llama", tmp_path, tie=tie)
    merge(interpolation(0.5), as_pair(paths), tmp_path / "out")
    assert ("lm_head.weight" in load(tmp_path / "out")) == (not tie)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    head, embedding = model.lm_head.weight, model.model.embed_tokens.weight
    assert (head.data_ptr() == embedding.data_ptr()) == tie


def test_a_tied_side_lends_its_embedding_as_head(tmp_path: Path) -> None:
    tied = tiny_pair("llama", tmp_path / "a", tie=True)[0]
    untied = tiny_pair("llama", tmp_path / "b", tie=False)[1]
    merge(interpolation(0.5), as_pair((tied, untied)), tmp_path / "out")
    one, two, merged = load(tied), load(untied), load(tmp_path / "out")
    expected = mix(one["model.embed_tokens.weight"], two["lm_head.weight"], 0.5)
    assert same_bits(merged["lm_head.weight"], expected)
    # The donor's tied flag would throw that head away: the result is written untied.
    other = tmp_path / "other"
    manifest = merge(interpolation(0.5), as_pair((tied, untied), donor="instruct"), other)
    assert manifest.unties_head
    assert same_bits(load(other)["lm_head.weight"], expected)
    assert json.loads((other / "config.json").read_text())["tie_word_embeddings"] is False
    loaded: Any = AutoModelForCausalLM.from_pretrained(other, output_loading_info=True)
    model, info = loaded
    assert not any(info.values())
    assert same_bits(model.lm_head.weight.data, expected)


def test_a_redundant_stored_head_is_left_out(tmp_path: Path) -> None:
    paths = tiny_pair("llama", tmp_path, tie=True)
    tensors = load(paths[0])
    store(paths[0], tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()})
    merge(interpolation(0.5), as_pair(paths), tmp_path / "out")
    assert "lm_head.weight" not in load(tmp_path / "out")


@pytest.mark.parametrize("donor", ["instruct", "thinking"])
def test_vocabularies_padded_differently(donor: str, tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path, tie=False)
    tensors = load(paths[0])
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = torch.cat([tensors[name], torch.full((8, 32), 7.0)])
    store(paths[0], tensors, files=2)
    change_json(paths[0] / "config.json", vocab_size=104)
    merge(interpolation(0.25), as_pair(paths, donor=donor), tmp_path / "out")
    merged, other = load(tmp_path / "out"), load(paths[1])
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert same_bits(merged[name][:96], mix(tensors[name][:96], other[name], 0.25))
        assert merged[name].shape[0] == (104 if donor == "instruct" else 96)
        assert (merged[name][96:] == 7.0).all()
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")


def test_layouts_and_dtypes_may_differ(tmp_path: Path) -> None:
    """Shards dealt out otherwise, in another order, without index, in mixed dtypes."""
    paths = tiny_pair("mixtral", tmp_path, shards=(3, 1), dtype=torch.bfloat16)
    tensors = load(paths[1])
    shuffled = {
        name: tensors[name].float() if number % 3 else tensors[name]
        for number, name in enumerate(reversed(tensors))
    }
    store(paths[1], shuffled, files=4)
    merge(interpolation(0.3), as_pair(paths), tmp_path / "out")
    one, merged = load(paths[0]), load(tmp_path / "out")
    for name, tensor in merged.items():
        expected = mix(one[name], shuffled[name], 0.3, out_dtype=shuffled[name].dtype)
        assert same_bits(tensor, expected), name


@pytest.mark.parametrize("dtype", get_args(MergeDtype)[1:])
@pytest.mark.parametrize("lambda_", [0.0, 0.7])
def test_the_dtype_asked_for(
    dtype: MergeDtype, lambda_: float, qwen: tuple[Path, ...], tmp_path: Path
) -> None:
    merge(interpolation(lambda_), as_pair(qwen[:2]), tmp_path / "out", dtype=dtype)
    wanted = getattr(torch, dtype)
    one, two = load(qwen[0]), load(qwen[1])
    for name, tensor in load(tmp_path / "out").items():
        assert same_bits(tensor, mix(one[name], two[name], lambda_, out_dtype=wanted))
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").dtype == wanted


SCOPED = {
    "last half": interpolation(0.8, Scope(layers=parse_layers("2-3"))),
    "layer 1": interpolation(0.8, Scope(layers=parse_layers("1"))),
    "without FFN": interpolation(
        0.8, Scope(modules=tuple(k for k in ModuleKind if k is not ModuleKind.FFN))
    ),
    "attention only, rest Thinking": interpolation(
        0.4, Scope(modules=(ModuleKind.ATTENTION,), outside="thinking")
    ),
    "rules": Recipe(
        lambda_=0.5,
        rules=(
            LambdaRule(lambda_=0.2, layers=parse_layers("0-1")),
            LambdaRule(lambda_=1.0, modules=(ModuleKind.NORMS,)),
        ),
    ),
    "two knobs": with_knobs(interpolation(0.5), 0.5, 0.85),
}


@pytest.mark.parametrize("case", SCOPED)
def test_scope_decides_for_each_tensor(case: str, qwen: tuple[Path, ...], tmp_path: Path) -> None:
    recipe = SCOPED[case]
    merge(recipe, as_pair(qwen[:2]), tmp_path / "out")
    one, two = load(qwen[0]), load(qwen[1])
    for name, tensor in load(tmp_path / "out").items():
        role = role_of(name)
        lambda_ = recipe.lambda_at(role.layer, role.kind)
        assert same_bits(tensor, mix(one[name], two[name], lambda_)), name


def test_layer_1_is_not_layer_10(tmp_path: Path) -> None:
    paths = tiny_pair("llama", tmp_path)
    for path in paths:
        tensors = load(path)
        last = {k: v for k, v in tensors.items() if ".layers.3." in k}
        for layer in range(4, 11):
            tensors |= {k.replace(".3.", f".{layer}."): v.clone() for k, v in last.items()}
        store(path, tensors)
        change_json(path / "config.json", num_hidden_layers=11)
    merge(SCOPED["layer 1"], as_pair(paths), tmp_path / "out")
    one, merged = load(paths[0]), load(tmp_path / "out")
    changed = {role_of(n).layer for n, t in merged.items() if not same_bits(t, one[n])}
    assert changed == {1}


def test_weighted_sum_of_three(qwen: tuple[Path, ...], tmp_path: Path) -> None:
    weighted = [(str(path), weight) for path, weight in zip(qwen, (0.5, 0.3, 0.2), strict=True)]
    plan = plan_weighted_sum(weighted, tmp_path / "out", donor=1, dtype="float32")
    manifest = carry_out(plan)
    assert [source.weight for source in manifest.sources] == [0.5, 0.3, 0.2]
    sides = [load(path) for path in qwen]
    for name, tensor in load(tmp_path / "out").items():
        exact = sum(w * side[name].double() for (_, w), side in zip(weighted, sides, strict=True))
        torch.testing.assert_close(tensor.double(), exact, atol=1e-6, rtol=1e-6)
    with pytest.raises(CheckpointError, match="sum to 1"):
        plan_weighted_sum(weighted[:2], tmp_path / "other")


def test_two_weights_are_an_interpolation(qwen: tuple[Path, ...], tmp_path: Path) -> None:
    merge(interpolation(0.3), as_pair(qwen[:2]), tmp_path / "a")
    weighted = [(str(qwen[0]), 0.7), (str(qwen[1]), 0.3)]
    carry_out(plan_weighted_sum(weighted, tmp_path / "b"))
    one, two = load(tmp_path / "a"), load(tmp_path / "b")
    assert all(same_bits(one[name], two[name]) for name in one)


def test_engines_get_the_bytes_that_are_written(qwen: tuple[Path, ...], tmp_path: Path) -> None:
    recipes = [interpolation(0.4), Recipe(method="ties", scale=0.5, density=0.2)]
    for number, recipe in enumerate(recipes):
        out = tmp_path / str(number)
        merge(recipe, as_pair(qwen), out)
        written = load(out)
        given = dict(mixed_tensors(recipe, as_pair(qwen)))
        assert given.keys() == written.keys()
        assert all(same_bits(given[name], written[name]) for name in given)


def test_integer_buffers_are_compared_not_mixed(tmp_path: Path) -> None:
    paths = tiny_pair("qwen2", tmp_path)
    positions = torch.arange(7)
    for path in paths:
        store(path, load(path) | {"model.position_ids": positions, "model.mask": positions > 3})
    merge(interpolation(0.5), as_pair(paths), tmp_path / "out")
    assert same_bits(load(tmp_path / "out")["model.position_ids"], positions)
    store(paths[0], load(paths[0]) | {"model.position_ids": positions + 1})
    with pytest.raises(CheckpointError, match=r"model\.position_ids"):
        merge(interpolation(0.5), as_pair(paths), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_nan_and_inf_are_named_and_refused_unless_allowed(tmp_path: Path) -> None:
    paths = tiny_pair("qwen2", tmp_path)
    tensors = load(paths[1])
    tensors["model.norm.weight"][3] = float("nan")
    tensors["lm_head.weight"][3, 3] = float("inf")
    store(paths[1], tensors)
    for lambda_ in (0.5, 1.0):
        with pytest.raises(CheckpointError, match=r"lm_head\.weight, model\.norm\.weight"):
            merge(interpolation(lambda_), as_pair(paths), tmp_path / "out")
        assert not (tmp_path / "out").exists()
    manifest = merge(interpolation(0.5), as_pair(paths), tmp_path / "out", allow_nonfinite=True)
    assert manifest.nonfinite == ("lm_head.weight", "model.norm.weight")
    assert load(tmp_path / "out")["model.norm.weight"][3].isnan()


def test_overflow_in_the_output_dtype_is_refused(tmp_path: Path) -> None:
    paths = tiny_pair("qwen2", tmp_path)
    for path in paths:
        tensors = load(path)
        tensors["model.norm.weight"][0] = 1e6
        store(path, tensors)
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight"):
        merge(interpolation(0.5), as_pair(paths), tmp_path / "out", dtype="float16")


def test_shards_index_and_companions(qwen: tuple[Path, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = plan_merge(interpolation(0.5), as_pair(qwen[:2]), out, shard_bytes=30_000)
    shown = {file.name for file in plan.companions}
    assert {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "chat_template.jinja",
    } <= shown
    assert "model.safetensors.index.json" not in shown
    carry_out(plan)
    assert shown <= {file.name for file in out.iterdir()}
    index = json.loads((out / "model.safetensors.index.json").read_text())
    files = sorted(out.glob("*.safetensors"))
    assert len(files) > 1
    assert sorted(set(index["weight_map"].values())) == [file.name for file in files]
    assert index["metadata"]["total_size"] == plan.output_bytes
    assert all(file.stat().st_size < 30_000 + 5_000 for file in files)
    assert (out / "chat_template.jinja").read_text() == (
        qwen[1] / "chat_template.jinja"
    ).read_text()
    assert sum(file.stat().st_size for file in out.iterdir()) <= plan.disk_needed


def test_the_donor_can_be_instruct(qwen: tuple[Path, ...], tmp_path: Path) -> None:
    merge(interpolation(0.5), as_pair(qwen[:2], donor="instruct"), tmp_path / "out")
    for name in ("chat_template.jinja", "generation_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (qwen[0] / name).read_bytes()


def test_the_same_merge_gives_the_same_bytes(qwen: tuple[Path, ...], tmp_path: Path) -> None:
    for name, threads in (("a/out", 1), ("b/out", 4)):
        merge(interpolation(0.5), as_pair(qwen[:2]), tmp_path / name, threads=threads)
    for file in (tmp_path / "a/out").iterdir():
        assert file.read_bytes() == (tmp_path / "b/out" / file.name).read_bytes(), file.name


def test_progress_ends_at_the_total(qwen: tuple[Path, ...], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    plan = plan_merge(interpolation(0.5), as_pair(qwen[:2]), tmp_path / "out")
    carry_out(plan, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (plan.output_bytes, plan.output_bytes)
    assert seen == sorted(seen)


def test_a_baseline_needs_its_base(qwen: tuple[Path, ...], tmp_path: Path) -> None:
    recipe = Recipe(method="task-arithmetic", scale=0.7)
    with pytest.raises(CheckpointError, match="needs a base"):
        merge(recipe, as_pair(qwen[:2]), tmp_path / "out")


def test_checking_and_merging_import_no_torch() -> None:
    modules = [
        "checks.compare",
        "inspect",
        "locate",
        "merging.manifest",
        "merging.plan",
        "remote",
        "roles",
        "relative_gap",
        "merging.write",
    ]
    code = "import sys\n" + "".join(f"import mi_tui.checkpoints.{name}\n" for name in modules)
    code += "assert not {'torch', 'transformers', 'huggingface_hub'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_merging_needs_numpy_only_where_there_is_no_compiled_kernel() -> None:
    """Its import takes a good part of the time before the first byte."""
    code = "import sys, mi_tui.checkpoints.merging.write\nassert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def tied_but_different(path: Path, seed: int) -> torch.Tensor:
    """Store a head beside the tied flag, as adapters on both do; returned."""
    tensors = load(path)
    noise = torch.randn(96, 32, generator=torch.Generator().manual_seed(seed))
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] + 0.1 * noise
    store(path, tensors)
    return tensors["lm_head.weight"]


@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("donor", ["instruct", "thinking"])
def test_a_stored_head_beside_a_tied_flag_is_kept_and_untied(
    sides: tuple[int, ...], donor: Literal["instruct", "thinking"], tmp_path: Path
) -> None:
    paths = tiny_pair("llama", tmp_path, tie=True)
    heads = [load(path)["model.embed_tokens.weight"] for path in paths]
    for side in sides:
        heads[side] = tied_but_different(paths[side], side)
    out = tmp_path / "out"
    merge(interpolation(0.5), as_pair(paths, donor=donor), out)
    loaded: Any = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    model, info = loaded
    assert not any(info.values())
    assert same_bits(model.lm_head.weight.data, mix(heads[0], heads[1], 0.5))
    assert verify(out)[0].level == "ok"
    assert "not tied" in (out / "README.md").read_text()


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
@pytest.mark.parametrize("tie", [False, True])
def test_the_rows_of_reused_ids_are_the_donors(
    tie: bool, dtype: MergeDtype, tmp_path: Path
) -> None:
    """Ids 3 and 11 stand for other tokens in Instruct; 12 is known to one side alone."""
    paths = tiny_pair("qwen3", tmp_path, tie=tie)
    file = paths[0] / "tokenizer.json"
    data = json.loads(file.read_text())
    words = data["model"]["vocab"]
    data["model"]["vocab"] = {
        {3: "<tool>", 11: "six"}.get(number, word): number for word, number in words.items()
    } | {"seven": 12}
    data["added_tokens"] = [t for t in data["added_tokens"] if t["id"] != 3]
    file.write_text(json.dumps(data))
    pair = as_pair(paths)
    recipe = interpolation(0.5)
    for out, made in (
        ("mixed", recipe),
        ("scoped", Recipe(lambda_=0.5, scope=Scope(modules=(ModuleKind.FFN,)))),
    ):
        manifest = merge(made, pair, tmp_path / out, dtype=dtype)
        assert manifest.kept_rows == 2
        assert read_manifest(tmp_path / out).kept_rows == 2
        assert "2 token ids mean another token" in (tmp_path / out / "README.md").read_text()
    merged, one, two = load(tmp_path / "mixed"), load(paths[0]), load(paths[1])
    for name in {"model.embed_tokens.weight", "lm_head.weight"} & merged.keys():
        expected = mix(one[name], two[name], 0.5)
        expected[[3, 11]] = two[name][[3, 11]]
        assert same_bits(merged[name], expected.to(merged[name].dtype))
        scoped = one[name].clone()
        scoped[[3, 11]] = two[name][[3, 11]]
        assert same_bits(load(tmp_path / "scoped")[name], scoped.to(merged[name].dtype))
    assert "lm_head.weight" in merged or tie


@pytest.mark.parametrize("side", [0, 1])
def test_a_merge_has_the_prediction_layers_that_its_donor_has(side: int, tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path)
    extra = {"mtp.fc.weight": torch.randn(32, 64), "model.layers.4.eh_proj.weight": torch.ones(3)}
    store(paths[side], load(paths[side]) | extra)
    change_json(paths[side] / "config.json", num_nextn_predict_layers=1)
    merge(interpolation(0.5), as_pair(paths), tmp_path / "out")
    merged = load(tmp_path / "out")
    assert (extra.keys() & merged.keys()) == (extra.keys() if side == 1 else set())
    if side == 1:
        assert all(same_bits(merged[name], tensor) for name, tensor in extra.items())


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("have_them", [(0,), (1,), (0, 1)], ids=str)
def test_prediction_layers_may_be_dropped(
    have_them: tuple[int, ...], nested: bool, tmp_path: Path
) -> None:
    paths = tiny_pair("qwen3", tmp_path)
    plain = load(paths[1]).keys()
    extra = {
        "mtp.fc.weight": torch.randn(32, 64),
        "model.mtp_block.0.mlp.up_proj.weight": torch.ones(3),
        "model.layers.4.eh_proj.weight": torch.ones(3),
    }
    for side in have_them:
        store(paths[side], load(paths[side]) | extra)
        config = paths[side] / "config.json"
        change_json(config, num_nextn_predict_layers=1)
        if nested:
            change_json(config, text_config=json.loads(config.read_text()))
    pair = as_pair(paths).model_copy(update={"prediction_layers": "drop"})
    plan = plan_merge(interpolation(0.5), pair, tmp_path / "out")
    assert plan.left_out == (extra.keys() if 1 in have_them else set())
    carry_out(plan)
    assert load(tmp_path / "out").keys() == plain
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    for part in (config, config.get("text_config", {})):
        assert part.get("num_nextn_predict_layers", 0) == 0


def test_a_pair_that_keeps_prediction_layers_is_stored_as_ever(tmp_path: Path) -> None:
    assert "prediction_layers" not in as_pair((tmp_path, tmp_path)).model_dump_json()
