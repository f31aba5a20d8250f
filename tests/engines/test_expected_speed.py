"""The rough reckoning of a speed grows with what there is and ends where nothing fits."""

from mi_tui.engines.expected_speed import tokens_per_second
from mi_tui.engines.memory.planner import plan_memory
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan
from tests.engines.memory.machines import A100S, H100, QWEN_4B, QWEN_30B_A3B, machine, side


def speed(what: Machine, cap: int) -> float:
    plan = EnginePlan(kind="transformers", dtype="bfloat16")
    return tokens_per_second(plan_memory(plan, QWEN_4B, QWEN_4B, what, cap=cap), 36)


def test_longer_responses_are_slower_and_more_gpus_faster() -> None:
    assert speed(H100, 4_096) > speed(H100, 16_384) > speed(H100, 81_920) > 0
    (card, *_) = A100S.gpus
    one = Machine((card,), A100S.memory_total, A100S.memory_free)
    assert speed(A100S, 16_384) == 4 * speed(one, 16_384)
    assert speed(H100, 4_096) > 10 * speed(machine(), 4_096) > 0


def test_one_long_response_reads_the_weights_for_each_token() -> None:
    """One row at a time on an 80 GB card: at most a step for all weights and its own cache."""
    found = speed(H100, 320_000)
    plan = plan_memory(EnginePlan(kind="transformers"), QWEN_4B, QWEN_4B, H100, cap=320_000)
    assert plan.response is not None
    rows = plan.rows(160_000)
    seconds = (plan.weights + plan.delta + rows * plan.response.row(160_000)) / 1e12
    assert found == rows / max(seconds, 36 * 0.6e-3)


def test_nothing_is_expected_of_what_cannot_run() -> None:
    plan = EnginePlan(kind="transformers")
    assert (
        tokens_per_second(plan_memory(plan, QWEN_30B_A3B, QWEN_30B_A3B, machine(host=8)), 48) == 0
    )
    untold = side(dense=1)
    assert tokens_per_second(plan_memory(plan, untold, untold, H100), 1) == 0
