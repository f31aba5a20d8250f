"""A fixed table of λ: any number of recipes and plain λ in turn, each request with its own."""

import pytest
import torch

from mi_tui.engines.vllm.worker.recipe_table import STEPS, Place, RecipeTable
from mi_tui.engines.vllm.worker.requested_lambda import LAMBDA, RECIPE
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind, Scope

PLACES: list[Place] = [(0, ModuleKind.ATTENTION), (0, ModuleKind.FFN), (None, ModuleKind.HEAD)]
DEFAULT = Recipe(lambda_=0.7, scope=Scope(modules=(ModuleKind.FFN,)))


def table(named: int = 4) -> RecipeTable:
    return RecipeTable(PLACES, named, DEFAULT, torch.device("cpu"))


def named(lambda_: float) -> dict[str, str]:
    return {RECIPE: Recipe(lambda_=lambda_).canonical_json()}


def row(one: RecipeTable, number: int) -> list[float]:
    return one.values[:, number].tolist()


@pytest.mark.parametrize("value", [0, 1, 0.55, "0.55", 0.123456])
def test_a_plain_number_is_served_to_the_nearest_256th(value: float | str) -> None:
    one = table()
    wanted = [round(float(value) * STEPS) / STEPS] * 3
    assert row(one, one.hold("a", {LAMBDA: value})) == wanted
    assert row(one, one.hold("b", {RECIPE: value})) == wanted


def test_a_named_recipe_keeps_its_lambda_exactly() -> None:
    one = table()
    assert row(one, one.hold("a", named(0.3))) == pytest.approx([0.3] * 3, abs=1e-7)
    scoped = Recipe(lambda_=0.9, scope=Scope(modules=(ModuleKind.FFN,), outside="thinking"))
    held = one.hold("b", {RECIPE: scoped.canonical_json()})
    assert row(one, held) == pytest.approx([1.0, 0.9, 1.0])


@pytest.mark.parametrize("extra", [None, {}, {"another": 1}, {LAMBDA: "nonsense"}, {RECIPE: "{"}])
def test_a_request_that_names_nothing_has_the_default(extra: dict[str, object] | None) -> None:
    one = table()
    assert row(one, one.hold("a", extra)) == pytest.approx([0.0, 0.7, 0.0])


def test_memory_does_not_grow_with_recipes_and_a_request_keeps_its_row() -> None:
    one = table(named=3)
    address = one.values.data_ptr()
    kept = one.hold("kept", named(0.111))
    for at in range(1, 1000):
        lambda_ = at / 1000
        held = one.hold("passing", named(lambda_))
        assert row(one, held) == pytest.approx([lambda_] * 3)
        assert one.hold("passing", named(0.999)) == held
        one.release("passing")
    assert row(one, kept) == pytest.approx([0.111] * 3)
    assert one.values.data_ptr() == address
    assert one.values.shape[1] == STEPS + 2 + 3


def test_the_recipe_that_was_asked_for_longest_ago_gives_way() -> None:
    one = table(named=2)
    first = one.hold("a", named(0.1))
    second = one.hold("b", named(0.2))
    one.release_all_but(["b"])
    assert one.hold("c", named(0.1)) == first  # still there, and now the youngest
    one.release("c")
    one.release("b")
    assert one.hold("d", named(0.3)) == second
    assert row(one, first) == pytest.approx([0.1] * 3)
    assert row(one, second) == pytest.approx([0.3] * 3)


def test_where_instruct_is_unchanged_is_known_on_the_host() -> None:
    one = table()
    held = one.hold("a", {RECIPE: DEFAULT.canonical_json()})
    assert one.is_zero[held].tolist() == [True, False, True]
    assert one.is_zero[0].all()
