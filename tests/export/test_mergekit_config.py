"""Parity with mergekit: the same inputs, the same methods, and our exported configurations."""

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import assume, given

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.kernels.random_drop import seed_of
from mi_tui.checkpoints.merging.plan import plan_weighted_sum
from mi_tui.checkpoints.merging.write import carry_out, merge
from mi_tui.export.mergekit_config import mergekit_yaml
from mi_tui.paths import expanded, is_directory
from mi_tui.plan.method import METHODS
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import LambdaRule, Recipe, interpolation
from mi_tui.plan.scope import ALL_MODULES, ModuleKind, Modules, Scope
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.merging.test_write import SCOPED
from tests.checkpoints.weights import change_json, load, quantise, store
from tests.export.hostile import texts

pytest.importorskip("mergekit", reason="mergekit is not installed")
yaml: Any = pytest.importorskip("yaml")

Side = Literal["instruct", "thinking"]
FAMILIES = ("qwen2", "qwen3", "llama", "mistral", "gemma2", "phi3")
TASK_ARITHMETIC = Recipe(method="task-arithmetic", scale=0.7)
TIES = Recipe(method="ties", scale=0.5, density=0.2)
DARE = Recipe(method="dare", scale=0.7, density=0.2, seed=3)
DARE_TIES = Recipe(method="dare-ties", scale=0.5, density=0.4, seed=3)
SLERP = Recipe(method="slerp", lambda_=0.35)


def run_mergekit(config: str, out: Path) -> dict[str, torch.Tensor]:
    from mergekit.config import MergeConfiguration
    from mergekit.merge import MergeOptions, run_merge

    options = MergeOptions(quiet=True, write_model_card=False, copy_tokenizer=False)
    run_merge(MergeConfiguration.model_validate(yaml.safe_load(config)), str(out), options)
    return load(out)


def as_pair(paths: tuple[Path, ...]) -> Pair:
    base = str(paths[2]) if len(paths) > 2 else None
    return Pair(instruct=str(paths[0]), thinking=str(paths[1]), base=base)


def assert_close(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    """float32: equal within a few units in the last place of the largest operand."""
    for name in shared_names(ours, theirs):
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-6, rtol=2e-6, msg=name)


def shared_names(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> list[str]:
    """The names to compare: all of them, but for the Llama biases that mergekit drops."""
    dropped = {name for name in ours if name.endswith(".bias")} - theirs.keys()
    assert ours.keys() - dropped == theirs.keys()
    assert len(dropped) in (0, 7 * 4)
    return list(theirs)


def steps(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """How many bf16 numbers lie between two tensors' elements, at most 32768 apart."""

    def line(values: torch.Tensor) -> torch.Tensor:
        bits = values.view(torch.int16).int()
        return torch.where(bits < 0, -(bits & 0x7FFF), bits)

    return (line(ours) - line(theirs)).abs()


@pytest.mark.parametrize("family", FAMILIES)
def test_linear(family: str, tmp_path: Path) -> None:
    paths = tiny_pair(family, tmp_path, shards=2)
    merge(interpolation(0.35), as_pair(paths), tmp_path / "ours")
    models = [
        {"model": str(path), "parameters": {"weight": weight}}
        for path, weight in zip(paths, (0.65, 0.35), strict=True)
    ]
    config = yaml.safe_dump({"merge_method": "linear", "models": models, "dtype": "float32"})
    assert_close(load(tmp_path / "ours"), run_mergekit(config, tmp_path / "theirs"))


def test_linear_of_three(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path, base=True)
    weighted = [(str(path), weight) for path, weight in zip(paths, (0.5, 0.3, 0.2), strict=True)]
    carry_out(plan_weighted_sum(weighted, tmp_path / "ours"))
    models = [{"model": path, "parameters": {"weight": weight}} for path, weight in weighted]
    config = yaml.safe_dump({"merge_method": "linear", "models": models, "dtype": "float32"})
    assert_close(load(tmp_path / "ours"), run_mergekit(config, tmp_path / "theirs"))


@pytest.mark.parametrize("recipe", [TASK_ARITHMETIC, TIES], ids=lambda recipe: str(recipe.method))
@pytest.mark.parametrize("family", FAMILIES)
def test_baselines(family: str, recipe: Recipe, tmp_path: Path) -> None:
    paths = tiny_pair(family, tmp_path, base=True)
    merge(recipe, as_pair(paths), tmp_path / "ours")
    models: list[dict[str, Any]] = [
        {"model": str(path), "parameters": {"weight": 0.7}} for path in paths[:2]
    ]
    config: dict[str, Any] = {
        "merge_method": "task_arithmetic",
        "base_model": str(paths[2]),
        "models": models,
        "dtype": "float32",
    }
    if recipe is TIES:
        config |= {"merge_method": "ties", "parameters": {"normalize": True, "lambda": 0.5}}
        for model in models:
            model["parameters"] = {"weight": 1.0, "density": 0.2}
    theirs = run_mergekit(yaml.safe_dump(config), tmp_path / "theirs")
    assert_close(load(tmp_path / "ours"), theirs)


def draw_as_we_do(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed mergekit's random numbers for each change of each tensor, as our merge does.

    By itself it draws all of a merge from one stream, in the order of its own scheduler.
    """
    from mergekit.merge_methods import generalized_task_arithmetic as theirs

    method, sparsify = theirs.GeneralizedTaskArithmeticMerge, theirs.sparsify
    merge_group, waiting = method.merge_group, list[int]()

    def merge_seeded(self: Any, group: Any, /, **parameters: Any) -> torch.Tensor:
        name = group.metadata.name
        waiting[:] = [seed_of(seed, role, name) for role in ("instruct", "thinking")]
        merged: torch.Tensor = merge_group(self, group, **parameters)
        assert not waiting
        return merged

    def sparsify_seeded(*given: Any, **named: Any) -> torch.Tensor:
        torch.manual_seed(waiting.pop(0))
        found: torch.Tensor = sparsify(*given, **named)
        return found

    monkeypatch.setattr(method, "merge_group", merge_seeded)
    monkeypatch.setattr(theirs, "sparsify", sparsify_seeded)


@pytest.mark.parametrize("family", FAMILIES)
def test_dare(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same random mask, and the paper's rescaling by 1 / density."""
    paths = tiny_pair(family, tmp_path, base=True)
    merge(DARE, as_pair(paths), tmp_path / "ours")
    draw_as_we_do(3, monkeypatch)
    config = {
        "merge_method": "dare_linear",
        "base_model": str(paths[2]),
        "models": [
            {"model": str(path), "parameters": {"weight": 0.7 / 0.2, "density": 0.2}}
            for path in paths[:2]
        ],
        "parameters": {"rescale": False},
        "dtype": "float32",
    }
    theirs = run_mergekit(yaml.safe_dump(config), tmp_path / "theirs")
    assert_close(load(tmp_path / "ours"), theirs)


@pytest.mark.parametrize("recipe", [DARE, DARE_TIES], ids=lambda recipe: str(recipe.method))
def test_exported_dare(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our configuration is our merge, but for the place in the stream of random numbers."""
    paths = tiny_pair("qwen3", tmp_path, base=True)
    draw_as_we_do(3, monkeypatch)
    check_export(recipe, paths, tmp_path, dtype="float32")
    monkeypatch.undo()
    draw_as_we_do(4, monkeypatch)
    with pytest.raises(AssertionError):
        check_export(recipe, paths, tmp_path / "another", dtype="float32")


@pytest.mark.parametrize("distance", [0.3, 0.005], ids=["arc", "parallel"])
@pytest.mark.parametrize("family", FAMILIES)
def test_slerp(family: str, distance: float, tmp_path: Path) -> None:
    """On the arc, and where both sides are so close that tensors are mixed linearly."""
    paths = tiny_pair(family, tmp_path, distance=distance)
    merge(SLERP, as_pair(paths), tmp_path / "ours")
    config = {
        "merge_method": "slerp",
        "base_model": str(paths[0]),
        "models": [{"model": str(path)} for path in paths],
        "parameters": {"t": 0.35},
        "dtype": "float32",
    }
    theirs = run_mergekit(yaml.safe_dump(config), tmp_path / "theirs")
    assert_close(load(tmp_path / "ours"), theirs)


@pytest.mark.parametrize("donor", ["instruct", "thinking"])
@pytest.mark.parametrize("modules", [ALL_MODULES, (ModuleKind.FFN,)], ids=["all", "FFN"])
def test_exported_slerp(modules: Modules, donor: Side, tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path)
    recipe = Recipe(method="slerp", lambda_=0.35, scope=Scope(modules=modules))
    check_export(recipe, paths, tmp_path, dtype="float32", donor=donor)


def test_a_method_that_mergekit_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(METHODS["slerp"]), "mergekit", lambda *_: None)
    with pytest.raises(CheckpointError, match="mergekit has no SLERP: export the merged"):
        mergekit_yaml(SLERP, Pair(instruct="owner/one", thinking="owner/two"))


def test_ties_between_equal_changes_keep_the_exact_share(tmp_path: Path) -> None:
    """bf16 makes equal changes common; exactly the asked share is kept, the first ones first."""
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.float32, base=True)
    base = {name: torch.zeros_like(tensor) for name, tensor in load(paths[2]).items()}
    store(paths[2], base)
    flat = {name: torch.ones_like(tensor) for name, tensor in base.items()}
    store(paths[0], flat)
    store(paths[1], base)
    merge(Recipe(method="ties", scale=1.0, density=0.2), as_pair(paths), tmp_path / "out")
    for name, tensor in load(tmp_path / "out").items():
        kept = max(1, int(0.2 * tensor.numel()))
        assert tensor.flatten()[:kept].eq(1).all(), name
        assert tensor.flatten()[kept:].eq(0).all(), name


@pytest.mark.parametrize(
    ("family", "lambda_"),
    [(family, 0.55) for family in FAMILIES] + [("qwen3", 0.0), ("qwen3", 1.0)],
)
def test_exported_interpolation(family: str, lambda_: float, tmp_path: Path) -> None:
    """Run through mergekit, our YAML gives our merge but for single steps of bf16."""
    paths = tiny_pair(family, tmp_path, dtype=torch.bfloat16)
    recipe = interpolation(lambda_)
    check_export(recipe, paths, tmp_path)


@pytest.mark.parametrize("case", SCOPED)
def test_exported_scope(case: str, tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.bfloat16)
    check_export(SCOPED[case], paths, tmp_path)


@pytest.mark.parametrize("recipe", [TASK_ARITHMETIC, TIES], ids=lambda recipe: str(recipe.method))
def test_exported_baseline(recipe: Recipe, tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.float32, base=True)
    check_export(recipe, paths, tmp_path, dtype="float32")


def check_export(
    recipe: Recipe,
    paths: tuple[Path, ...],
    folder: Path,
    dtype: str = "bfloat16",
    donor: Side = "thinking",
) -> None:
    pair = as_pair(paths).model_copy(update={"donor": donor})
    merge(recipe, pair, folder / "ours")
    text = mergekit_yaml(recipe, pair, out_dtype=dtype)
    ours, theirs = load(folder / "ours"), run_mergekit(text, folder / "theirs")
    if dtype == "float32":
        assert_close(ours, theirs)
        return
    names = shared_names(ours, theirs)
    total = sum(tensor.numel() for tensor in ours.values())
    differing = 0
    for name in names:
        apart = steps(ours[name], theirs[name])
        # Where terms cancel almost to zero a float32 step spans several of the tiny result's.
        tiny = (ours[name].float() - theirs[name].float()).abs() < 1e-7
        assert ((apart <= 1) | tiny).all(), name
        differing += int((apart > 0).sum())
    assert differing <= 0.001 * total


def test_a_name_inside_another_cannot_be_expressed() -> None:
    pair = Pair(instruct="owner/one", thinking="owner/two")
    recipe = Recipe(lambda_=0.5, rules=(LambdaRule(lambda_=1.0, modules=(ModuleKind.NORMS,)),))
    names = ["model.norm.weight", "lm_head.weight", "model.embed_tokens.weight"]
    assert '"model.norm.weight"' in mergekit_yaml(
        recipe, pair, tensor_names=names, out_dtype="float32"
    )
    names.append("model.norm.weight.mlp.weight")
    with pytest.raises(CheckpointError, match="cannot be expressed"):
        mergekit_yaml(recipe, pair, tensor_names=names, out_dtype="float32")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("recipe", [interpolation(0.55), SCOPED["last half"], TIES], ids=str)
def test_the_dtype_is_that_of_our_merge(recipe: Recipe, dtype: torch.dtype, tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path, dtype=dtype, base=True)
    config = yaml.safe_load(mergekit_yaml(recipe, as_pair(paths)))
    assert config["out_dtype"] == str(dtype).removeprefix("torch.")
    merge(recipe, as_pair(paths), tmp_path / "ours")
    assert {tensor.dtype for tensor in load(tmp_path / "ours").values()} == {dtype}


@given(texts)
def test_hostile_references_stay_values(text: str) -> None:
    assume(not is_directory(expanded(text)))  # such a one is written as its full path
    pair = Pair(instruct="owner/one", thinking="bundled:thinking")
    backbone = Recipe(lambda_=0.5).model_copy(update={"backbone": text})
    written = mergekit_yaml(backbone, pair)
    config = yaml.safe_load(written)
    assert config["models"][0]["model"] == text
    plain = mergekit_yaml(Recipe(lambda_=0.5, backbone="owner/other"), pair)
    assert len(written.splitlines()) == len(plain.splitlines())
    assert config.keys() == yaml.safe_load(plain).keys()
    ties = TIES.model_copy(update={"base": text})
    config = yaml.safe_load(mergekit_yaml(ties, pair))
    assert config["base_model"] == text
    assert config["merge_method"] == "ties"


def test_the_configuration_names_the_donor_as_base(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path)
    config = yaml.safe_load(mergekit_yaml(interpolation(0.55), as_pair(paths)))
    assert config["base_model"] == str(paths[1])
    assert config["models"] == [{"model": str(paths[0]), "parameters": {"weight": 0.45}}]
    assert (config["dtype"], config["out_dtype"]) == ("float32", "float32")


@pytest.mark.parametrize("side", [0, 1])
def test_quantised_checkpoints_are_refused(side: int, tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.bfloat16)
    quantise(paths[side], (8, 8))
    with pytest.raises(CheckpointError, match="would leave out the scales"):
        mergekit_yaml(interpolation(0.5), as_pair(paths))


def test_the_file_says_where_mergekits_result_is_another(tmp_path: Path) -> None:
    sides = tiny_pair("qwen3", tmp_path, dtype=torch.bfloat16)
    pair = Pair(instruct=str(sides[0]), thinking=str(sides[1]))
    plain = mergekit_yaml(interpolation(0.4), pair)
    assert plain.count("#") == 1
    tokens = sides[0] / "tokenizer.json"
    tokens.write_text(tokens.read_text().replace('"<think>": 3', '"<tool>": 3'))
    change_json(tokens, added_tokens=[])
    tensors = load(sides[1])
    tensors["model.norm.weight"] = tensors["model.norm.weight"].float()
    store(sides[1], tensors)
    told = mergekit_yaml(interpolation(0.4), pair.model_copy(update={"prediction_layers": "drop"}))
    lines = [line for line in told.splitlines() if line.startswith("#")][1:]
    assert "another token on another side (3): mergekit mixes their rows" in lines[0]
    assert "model.norm.weight and others (1 in all) have a dtype of their own" in lines[1]
    assert "mergekit writes bfloat16" in lines[1]
    assert "predict further tokens are left out" in lines[2]
    assert [line for line in told.splitlines() if not line.startswith("#")] == [
        line for line in plain.splitlines() if not line.startswith("#")
    ]
