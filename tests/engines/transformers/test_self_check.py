"""The self-check: it fails for a small fault in any one module, names it, and passes without."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast

import pytest
import torch

from mi_tui.engines.protocol import Request, SelfCheck
from mi_tui.engines.transformers import self_check
from mi_tui.engines.transformers.engine import TransformersEngine
from mi_tui.engines.transformers.lambda_reading import Reading
from mi_tui.engines.transformers.model.fused_forward import FusedForward
from mi_tui.engines.transformers.model.kv_cache import KVCache
from mi_tui.engines.transformers.self_check import varied
from mi_tui.engines.transformers.weights.in_place import InPlaceWeights
from mi_tui.engines.transformers.weights.one_pass import OnePassWeights
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind
from tests.checkpoints.families import FAMILIES, tiny_pair
from tests.engines.support import GREEDY, run
from tests.families.configs import CONFIGS
from tests.families.pair import build_pair

DType = Literal["float32", "bfloat16"]
DTYPES: tuple[DType, ...] = ("float32", "bfloat16")
OFF = 0.01
Place = tuple[int | None, ModuleKind]


@contextmanager
def opened(
    pair: tuple[Path, ...], dtype: DType, mode: Literal["auto", "in-place"] = "auto"
) -> Iterator[TransformersEngine]:
    plan = EnginePlan(mode=mode, device="cpu", dtype=dtype, batch=8, threads=1)
    engine = TransformersEngine.open(plan, Pair(instruct=str(pair[0]), thinking=str(pair[1])))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, ...]]:
    made: dict[str, tuple[Path, ...]] = {}

    def of(family: str) -> tuple[Path, ...]:
        if family not in made:
            made[family] = tiny_pair(family, tmp_path_factory.mktemp(family))
        return made[family]

    return of


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_it_passes_for_every_family(
    family: str, dtype: DType, pairs: Callable[[str], tuple[Path, ...]]
) -> None:
    with opened(pairs(family), dtype) as engine:
        check = engine.self_check()
        assert check.passed, check.message
        assert engine.capabilities.mixes_recipes, engine.capabilities.note
        assert check.message.startswith("one pass")


def places(engine: TransformersEngine) -> list[Place]:
    found = {(pair.role.layer, pair.role.kind) for pair in engine._pair_tensors if pair.differs}
    return sorted(found, key=str)


@contextmanager
def shifted(one_pass: OnePassWeights, place: Place, by: float) -> Iterator[None]:
    """Let λ of one layer and module kind be wrong, for all recipes."""
    right = one_pass._table
    wrong = right.clone()
    wrong[:, list(one_pass._sequences).index(place)] += by
    one_pass._table = wrong
    yield
    one_pass._table = right


def names_of(engine: TransformersEngine, place: Place) -> set[str]:
    """The modules of a layer and kind, as a message may name them; a tied head is an embedding."""
    found = {
        pair.name.rpartition(".")[0]
        for pair in engine._pair_tensors
        if (pair.role.layer, pair.role.kind) == place
    }
    tied = engine._pair_tensors.config.tie_word_embeddings
    return found | ({"lm_head"} if tied and place[1] is ModuleKind.EMBEDDINGS else set())


def names(message: str, modules: set[str]) -> bool:
    return any(f" {module} " in message or f" {module}." in message for module in modules)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", ["qwen3", "gemma3", "qwen3_moe"])
def test_a_wrong_lambda_of_one_module_in_one_pass_is_noticed_and_named(
    family: str,
    dtype: DType,
    sign: int,
    pairs: Callable[[str], tuple[Path, ...]],
) -> None:
    with opened(pairs(family), dtype) as engine:
        one_pass = engine._strategies.one_pass
        assert one_pass is not None
        expected = _references(engine)
        assert engine._strategies._check_one_pass(one_pass, expected).passed
        for place in places(engine):
            with shifted(one_pass, place, sign * OFF):
                check = engine._strategies._check_one_pass(one_pass, expected)
            assert not check.passed, place
            assert names(check.message, names_of(engine, place)), (place, check.message)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", ["qwen3", "gemma3", "qwen3_moe"])
def test_a_wrong_lambda_of_one_tensor_in_place_is_noticed_and_named(
    family: str,
    dtype: DType,
    pairs: Callable[[str], tuple[Path, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place: Place = (None, ModuleKind.HEAD)
    real = Recipe.lambda_at

    class Off:
        """A recipe whose λ is wrong in one layer and module kind."""

        def __init__(self, recipe: Recipe) -> None:
            self._recipe = recipe

        def lambda_at(self, layer: int | None, kind: ModuleKind) -> float:
            right = real(self._recipe, layer, kind)
            return min(1.0, right + OFF) if (layer, kind) == place else right

    write = InPlaceWeights._write
    monkeypatch.setattr(
        InPlaceWeights, "_write", lambda self, recipe: write(self, cast(Recipe, Off(recipe)))
    )
    with opened(pairs(family), dtype, "in-place") as engine:
        for place in places(engine):
            check = _again(engine)
            assert not check.passed, place
            assert check.message.startswith("λ in place"), check.message
            assert names(check.message, names_of(engine, place)), (place, check.message)


@pytest.mark.parametrize("family", ["qwen3", "gemma3", "qwen3_moe", "phi"])
def test_log_probabilities_alone_notice_it_in_float32(
    family: str,
    pairs: Callable[[str], tuple[Path, ...]],
) -> None:
    with opened(pairs(family), "float32") as engine:
        one_pass = engine._strategies.one_pass
        assert one_pass is not None
        expected = _references(engine)
        device = torch.device("cpu")
        assert self_check.check(one_pass, expected, device).passed
        for place in places(engine):
            with shifted(one_pass, place, OFF):
                check = self_check.check(one_pass, expected, device)
            assert not check.passed, place


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_wrong_lambda_in_the_fused_forward_pass_alone_is_noticed(
    dtype: DType,
    pairs: Callable[[str], tuple[Path, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with opened(pairs("qwen3"), dtype) as engine:
        one_pass = engine._strategies.one_pass
        assert one_pass is not None
        real = OnePassWeights.prepare

        def off(self: OnePassWeights, recipes: list[int]) -> None:
            real(self, recipes)
            at = self._sequences[(2, ModuleKind.FFN)]
            at.scale = at.scale + torch.tensor([0.0, OFF])[None, None, :, None]

        monkeypatch.setattr(OnePassWeights, "prepare", off)
        assert isinstance(one_pass.forward, FusedForward)
        fault = engine._strategies._one_pass_fault(one_pass)
        assert "layers.2.mlp" in fault
        assert engine.self_check().passed
        assert engine.capabilities.mixes_recipes
        assert not isinstance(one_pass.forward, FusedForward)


def test_a_cache_that_forgets_the_window_is_noticed(
    pairs: Callable[[str], tuple[Path, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts reach beyond the smallest window, in both dtypes."""
    sides = tiny_pair("mistral", tmp_path)
    for side in sides:
        config = json.loads((side / "config.json").read_text())
        (side / "config.json").write_text(json.dumps(config | {"sliding_window": 100}))
    real = KVCache.bias

    def wide(
        self: KVCache, window: int | None, like: torch.Tensor, length: int, chunk: int | None = None
    ) -> torch.Tensor:
        return real(self, None, like, length, chunk)

    with opened(sides, "float32") as engine:
        assert engine.self_check().passed
    monkeypatch.setattr(KVCache, "bias", wide)
    for dtype in DTYPES:
        with opened(sides, dtype, "in-place") as engine:
            engine.self_check()
            assert "with slots, responses differ" in engine.capabilities.note


@pytest.mark.parametrize("dtype", DTYPES)
def test_slots_that_fail_give_way_to_the_models_own_cache(
    dtype: DType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with attention sinks, which not every attention of transformers' own has."""
    instruct, thinking = build_pair(CONFIGS["gpt_oss"](), tmp_path)
    real = KVCache.bias

    def wide(
        self: KVCache, window: int | None, like: torch.Tensor, length: int, chunk: int | None = None
    ) -> torch.Tensor:
        return real(self, None, like, length, chunk)

    monkeypatch.setattr(KVCache, "bias", wide)
    with opened((instruct, thinking), dtype) as engine:
        assert engine.self_check().passed
        assert "requests start together: with slots, responses" in engine.capabilities.note
        recipe = Recipe(lambda_=0.4, decoding=GREEDY)
        asked = [Request(n, recipe, tuple(range(5, 30 + n)), 0, 12) for n in range(3)]
        assert {len(one.tokens) for one in run(engine, asked).values()} == {12}


def test_every_layer_and_kind_has_a_lambda_of_its_own() -> None:
    recipe = varied(6)
    found = [recipe.lambda_at(layer, kind) for layer in (None, *range(6)) for kind in ModuleKind]
    assert len(set(found)) == len(found)
    assert all(0.19 < lambda_ < 0.81 for lambda_ in found)


def test_a_reading_that_is_no_number_is_wrong() -> None:
    assert not Reading("a", 0.5, float("nan"), 0.005).is_right


@pytest.mark.parametrize(
    ("room", "mixes", "passed", "words"),
    [
        (5 * 256, True, True, "up to 200 tokens"),
        (3 * 256, False, True, "up to 200 tokens"),
        (3 * 128, False, True, "up to 100 tokens"),
        (8, False, False, "does not fit into memory"),
    ],
)
def test_where_memory_runs_out_less_is_compared_and_said(
    room: int,
    mixes: bool,
    passed: bool,
    words: str,
    pairs: Callable[[str], tuple[Path, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One pass reads all recipes' prompts at once, in place one recipe's after the other."""
    update = KVCache.update

    def refusing(self: KVCache, keys: torch.Tensor, values: torch.Tensor, layer: int) -> object:
        if self._capacity * self._length > room:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate much")
        return update(self, keys, values, layer)

    with opened(pairs("qwen3"), "float32") as engine:
        monkeypatch.setattr(KVCache, "update", refusing)
        monkeypatch.setattr(self_check, "long_length", lambda _: 200)
        check = engine.self_check()
        assert check.passed == passed, check
        assert words in check.message
        assert engine.capabilities.mixes_recipes == mixes
        assert ("too little memory" in engine.capabilities.note) == (not mixes)
        assert "\n" not in check.message + engine.capabilities.note


def _references(engine: TransformersEngine) -> self_check.References:
    strategies = engine._strategies
    return self_check.references(
        strategies.in_place,
        engine._pair_tensors,
        engine._pair,
        engine._recipes,
        engine._chat.check_prompts((5, 7)),
        self_check.long_length(engine._pair_tensors),
    )


def _again(engine: TransformersEngine) -> SelfCheck:
    engine._strategies.in_place._now.clear()
    engine._strategies.in_place._current = None
    return engine.self_check()
