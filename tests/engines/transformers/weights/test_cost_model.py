"""The cost model prefers what its measurements make cheaper."""

from pathlib import Path

import pytest

from mi_tui.engines.transformers.decoding.timing import Speed
from mi_tui.engines.transformers.model.pair_tensors import PairTensors
from mi_tui.engines.transformers.weights.cost_model import (
    _LENGTHS,
    CostModel,
    Curve,
    Work,
    batch_seconds,
)
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds
from mi_tui.engines.transformers.weights.strategy import Strategies
from mi_tui.plan.pair import Pair
from tests.checkpoints.families import tiny_pair


def curve(base: float, per_sequence: float) -> Curve:
    sequences = (1, 4, 16, 64)
    return Curve(
        {n: Speed(2 * (base + per_sequence * n), base + per_sequence * n) for n in sequences}, 32
    )


def work(recipes: int, sequences: int, response: float = 100) -> Work:
    return Work(
        dict.fromkeys(range(recipes), sequences), prompt_tokens=32, response_tokens=response
    )


MODEL = CostModel(single=curve(1.0, 0.1), mixed=curve(1.5, 0.2), switch=5.0)


def test_few_sequences_of_many_recipes_share_a_pass() -> None:
    assert MODEL.one_pass(work(9, 1), 64) < MODEL.in_place(work(9, 1), 64) / 3


def test_many_sequences_of_few_recipes_run_alone() -> None:
    assert MODEL.in_place(work(2, 200), 64) < MODEL.one_pass(work(2, 200), 64)


def test_switches_count_more_for_short_responses() -> None:
    with_switch = MODEL.in_place(work(4, 4, response=2), 64)
    without = CostModel(MODEL.single, MODEL.mixed, 0.0).in_place(work(4, 4, response=2), 64)
    assert with_switch - without == pytest.approx(20)


def test_the_last_sequences_wait_for_each_other_where_small_batches_are_dear() -> None:
    bound_by_memory = CostModel(curve(1.0, 0.001), curve(2.0, 0.002), 0.0)
    assert bound_by_memory.parking(9, 4, context_tokens=200, response_tokens=100) > 0
    bound_by_sequences = CostModel(curve(0.01, 0.1), curve(0.02, 0.2), 0.0)
    assert bound_by_sequences.parking(9, 4, context_tokens=200, response_tokens=100) < 0


def test_reading_long_contexts_once_more_counts() -> None:
    model = CostModel(curve(1.0, 0.001), curve(2.0, 0.002), 0.0)
    assert model.parking(9, 4, context_tokens=20_000, response_tokens=100) < 0


def test_batches_beyond_what_was_measured_cost_in_proportion() -> None:
    assert curve(0.0, 1.0).step(256) == pytest.approx(256)
    assert curve(0.0, 1.0).step(10) == pytest.approx(10)


def test_a_queue_costs_its_rounds() -> None:
    flat = Curve({1: Speed(0.0, 1.0), 64: Speed(0.0, 1.0)}, 32)
    one_round = batch_seconds(flat, 64, 64, work(1, 64))
    assert batch_seconds(flat, 192, 64, work(1, 192)) == pytest.approx(one_round + 200)


def test_long_contexts_make_full_batches_dear() -> None:
    attentive = Curve(MODEL.single.points, 32, attention=0.01)
    assert attentive.step(16, 100) == pytest.approx(MODEL.single.step(16) + 16)
    last = batch_seconds(attentive, 64, 64, work(1, 64))
    queued = batch_seconds(attentive, 640, 64, work(1, 640))
    reading = 9 * attentive.read(64, 32)
    # Nine full batches of 100 tokens, whose sequences are on average at seven tenths of the mean.
    age = 100 * sum(x * x for x in _LENGTHS) / sum(_LENGTHS) / 2
    assert 65 < age < 75
    step = MODEL.single.step(64) + 0.01 * 64 * (32 + age)
    assert queued == pytest.approx(last + reading + 9 * 100 * step)


def test_the_choice_is_measured_and_kept_unless_clearly_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    pair = tiny_pair("qwen3", tmp_path)
    cpu = torch.device("cpu")
    files = Pair(instruct=str(pair[0]), thinking=str(pair[1]))
    pair_tensors = PairTensors.load(files, dtype=torch.float32, device=cpu)
    strategies = Strategies(pair_tensors, RecipeIds(), files)
    measured = strategies.cost_model(8)
    assert set(measured.single.points) == set(measured.mixed.points) == {1, 4, 8}
    assert measured.switch > 0
    near = CostModel(curve(1.0, 0.1), curve(7.4, 0.78), 0.0)
    monkeypatch.setattr(strategies, "cost_model", lambda _: near)
    ratio = near.one_pass(work(9, 1), 64) / near.in_place(work(9, 1), 64)
    assert 0.9 < ratio < 1.1
    assert strategies.choose(work(9, 1), 64, "one-pass") == "one-pass"
    assert strategies.choose(work(9, 1), 64, "in-place") == "in-place"
    assert strategies.choose(work(1, 9), 64) == "in-place"
