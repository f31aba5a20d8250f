"""What a merged checkpoint would hold: confirmed with its very weights, rounded as it rounds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mi_tui.checkpoints.merging.in_memory import mixed_tensors
from mi_tui.checkpoints.merging.write import merge
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Engine, Request
from mi_tui.engines.transformers.engine import TransformersEngine
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import LambdaRule, Recipe
from mi_tui.plan.scope import ModuleKind, Scope, parse_layers
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import load, store
from tests.engines.support import GREEDY, generated, plain_model, run, with_end
from tests.families.configs import CONFIGS
from tests.families.pair import build_pair

DEMO = Pair(instruct="bundled:instruct", thinking="bundled:thinking", base="bundled:base")
RECIPES = (
    Recipe(lambda_=0.57, decoding=GREEDY),
    Recipe(lambda_=0.8, scope=Scope(modules=(ModuleKind.FFN,)), decoding=GREEDY),
    Recipe(
        lambda_=0.6,
        rules=(LambdaRule(lambda_=0.9, layers=parse_layers("2-3")),),
        decoding=GREEDY,
    ),
    Recipe(method="ties", scale=0.5, density=0.2, decoding=GREEDY),
    Recipe(lambda_=0.7, backbone="bundled:base", decoding=GREEDY),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    plan = EnginePlan(device="cpu", dtype="float32", batch=8, threads=1)
    opened = open_engine(plan, DEMO)
    yield opened
    opened.close()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.label)
def test_the_weights_are_bit_for_bit_those_of_the_exported_checkpoint(
    engine: Engine, recipe: Recipe
) -> None:
    assert isinstance(engine, TransformersEngine)
    weights = engine._strategies.in_place
    weights.switch(recipe, as_exported=True)
    held = weights.model.state_dict()
    exported = dict(mixed_tensors(recipe, DEMO))
    assert {tensor.dtype for tensor in exported.values()} == {torch.bfloat16}
    for name, tensor in exported.items():
        assert torch.equal(held[name], tensor.float()), name
    weights.prepare([engine._recipes.number(recipe)])
    plain = weights.model.state_dict()
    assert any(not torch.equal(plain[name], tensor.float()) for name, tensor in exported.items())


def test_sequences_as_exported_say_what_the_exported_checkpoint_says(
    engine: Engine, tmp_path: Path
) -> None:
    recipe = RECIPES[0]
    merge(recipe, DEMO, tmp_path / "merged")
    prompts = [
        engine.encode(engine.render([{"role": "user", "content": f"Compute {text} mod 100"}]))
        for text in ("47*6+5-8", "12+9*3", "88-7*2+5+6", "31*4-9")
    ]
    # Sequences of the mixture in float32 share the engine with them, as in a study.
    asked = [
        Request(number, recipe, prompt, seed=0, max_new_tokens=60, as_exported=number < 4)
        for number, prompt in enumerate(prompts * 2)
    ]
    done = run(engine, asked)
    exported = plain_model(tmp_path / "merged")
    end = engine.encode("<|im_end|>")[0]
    for number, prompt in enumerate(prompts):
        expected = generated(exported, prompt, 60)
        ours = list(done[number].tokens)
        assert ours == [token for token in expected if token != end]
    assert len(done) == 8
    assert with_end(done[4])


def test_capabilities_name_the_dtype_of_the_files(engine: Engine) -> None:
    assert engine.capabilities.dtype == "float32"
    assert engine.capabilities.export_dtype == "bfloat16"


def test_another_backbone_is_a_pair_of_its_own(engine: Engine) -> None:
    recipe = RECIPES[4]
    assert isinstance(engine, TransformersEngine)
    weights = engine._strategies.in_place
    weights.prepare([engine._recipes.number(recipe)])
    held = {name: tensor.clone() for name, tensor in weights.model.state_dict().items()}
    pair = DEMO.model_copy(update={"instruct": "bundled:base"})
    same = recipe.model_copy(update={"backbone": None})
    for name, tensor in mixed_tensors(same, pair, dtype="float32"):
        assert torch.equal(held[name], tensor), name


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A mixture of experts, whose files name every expert and whose model stacks them."""
    folder = tmp_path_factory.mktemp("mixture")
    instruct, thinking, base = tiny_pair("qwen3_moe", folder, dtype=torch.bfloat16, base=True)
    return Pair(instruct=str(instruct), thinking=str(thinking), base=str(base))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(lambda_=0.57, decoding=GREEDY),
        Recipe(method="task-arithmetic", scale=0.7, decoding=GREEDY),
        Recipe(lambda_=0.7, backbone="BASE", decoding=GREEDY),
    ],
    ids=lambda recipe: recipe.label,
)
def test_stacked_experts_hold_what_the_exported_checkpoint_does(
    mixture: Pair, recipe: Recipe, tmp_path: Path
) -> None:
    if recipe.backbone:
        recipe = recipe.model_copy(update={"backbone": mixture.base})
    plan = EnginePlan(device="cpu", dtype="float32", batch=4, threads=1)
    engine = open_engine(plan, mixture)
    assert isinstance(engine, TransformersEngine)
    weights = engine._strategies.in_place
    weights.switch(recipe, as_exported=True)
    held = {name: tensor.clone() for name, tensor in weights.model.state_dict().items()}
    engine.close()
    merge(recipe, mixture, tmp_path / "merged")
    exported = plain_model(tmp_path / "merged").state_dict()
    assert held.keys() == exported.keys()
    assert all(torch.equal(held[name], exported[name]) for name in held)


def test_a_tensor_in_a_dtype_of_its_own_keeps_it(tmp_path: Path) -> None:
    """Routers and their biases are often in float32 among weights in bfloat16."""
    sides = tiny_pair("qwen3_moe", tmp_path, dtype=torch.bfloat16)
    for folder, seed in zip(sides, (1, 2), strict=True):
        tensors = load(folder)
        noise = torch.Generator().manual_seed(seed)
        for name in [name for name in tensors if name.endswith("mlp.gate.weight")]:
            tensors[name] = torch.randn(tensors[name].shape, generator=noise)
        store(folder, tensors)
    pair = Pair(instruct=str(sides[0]), thinking=str(sides[1]))
    recipe = Recipe(lambda_=0.57, decoding=GREEDY)
    engine = open_engine(EnginePlan(device="cpu", dtype="float32", batch=4, threads=1), pair)
    assert isinstance(engine, TransformersEngine)
    weights = engine._strategies.in_place
    weights.switch(recipe, as_exported=True)
    held = {name: tensor.clone() for name, tensor in weights.model.state_dict().items()}
    engine.close()
    merge(recipe, pair, tmp_path / "merged")
    exported = plain_model(tmp_path / "merged").state_dict()
    assert all(torch.equal(held[name], exported[name]) for name in exported)
    gates = [tensor for name, tensor in held.items() if name.endswith("mlp.gate.weight")]
    assert any(not torch.equal(gate, gate.bfloat16().float()) for gate in gates)


@pytest.mark.parametrize("family", ["ernie4_5_moe", "exaone_moe"])
def test_a_scope_covers_the_same_tensors_in_the_engine_and_in_the_merge(
    family: str, tmp_path: Path
) -> None:
    """Whose files name the experts' biases otherwise than the model does."""
    sides = build_pair(CONFIGS[family](), tmp_path)
    pair = Pair(instruct=str(sides[0]), thinking=str(sides[1]))
    engine = open_engine(EnginePlan(device="cpu", dtype="float32", batch=4, threads=1), pair)
    assert isinstance(engine, TransformersEngine)
    weights = engine._strategies.in_place
    for kind in (ModuleKind.ROUTER, ModuleKind.FFN):
        recipe = Recipe(lambda_=0.6, scope=Scope(modules=(kind,)), decoding=GREEDY)
        weights.switch(recipe, as_exported=True)
        merge(recipe, pair, tmp_path / kind.value)
        exported = plain_model(tmp_path / kind.value).state_dict()
        held = weights.model.state_dict()
        assert held.keys() == exported.keys()
        assert all(torch.equal(held[name], exported[name]) for name in exported)
        biases = [name for name in exported if name.endswith("e_score_correction_bias")]
        instruct = plain_model(sides[0]).state_dict()
        moved = {not torch.equal(exported[name], instruct[name]) for name in biases}
        assert moved == {kind is ModuleKind.ROUTER}
    engine.close()
