"""Which requests share loaded weights, with and without one pass."""

from hypothesis import given
from hypothesis import strategies as st

from mi_tui.engines.protocol import Request
from mi_tui.engines.vllm.request_queue import INSTRUCT, RequestQueue, Weights
from mi_tui.plan.recipe import Decoding, Recipe

TASK = Recipe(method="task-arithmetic", scale=0.5)
RECIPES = (Recipe(lambda_=0.0), Recipe(lambda_=0.3), Recipe(lambda_=1.0), TASK)


def request(number: int, recipe: Recipe, *, as_exported: bool = False) -> Request:
    return Request(number, recipe, (1, 2), number, 4, as_exported)


def test_interpolations_wait_for_nothing_in_one_pass() -> None:
    waiting = RequestQueue(one_pass=True)
    waiting.add(request(at, recipe) for at, recipe in enumerate(RECIPES))
    assert [taken.id for taken in waiting.take(INSTRUCT)] == [0, 1, 2]
    assert waiting.most_wanted() == Weights(TASK)
    assert [taken.id for taken in waiting.take(Weights(TASK))] == [3]
    assert waiting.most_wanted() is None


def test_rounded_weights_and_other_backbones_need_their_own_merge() -> None:
    waiting = RequestQueue(one_pass=True)
    rounded = request(0, Recipe(lambda_=0.3), as_exported=True)
    other = request(1, Recipe(lambda_=0.3, backbone="elsewhere"))
    assert waiting.needs(rounded) == Weights(Recipe(lambda_=0.3), as_exported=True)
    assert waiting.needs(other) == Weights(other.recipe)


def test_decoding_does_not_tell_weights_apart() -> None:
    sampled, greedy = Recipe(lambda_=0.3), Recipe(lambda_=0.3, decoding=Decoding(temperature=0))
    assert Weights.of(request(0, sampled)) == Weights.of(request(1, greedy))
    assert Weights.of(request(0, sampled)).salt == Weights.of(request(1, greedy)).salt


def test_salts_differ_whenever_weights_do() -> None:
    weights = {Weights.of(request(0, recipe)) for recipe in RECIPES}
    weights |= {Weights.of(request(0, recipe, as_exported=True)) for recipe in RECIPES[:3]}
    assert len({each.salt for each in weights}) == len(weights) == 7


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=20), st.booleans())
def test_every_request_is_served_once_in_the_order_of_its_weights(
    asked: list[tuple[int, bool]], one_pass: bool
) -> None:
    waiting = RequestQueue(one_pass=one_pass)
    waiting.add(request(at, RECIPES[kind]) for at, (kind, _) in enumerate(asked))
    dropped = {at for at, (_, drop) in enumerate(asked) if drop}
    waiting.drop(dropped)
    served: list[int] = []
    switches = 0
    while (wanted := waiting.most_wanted()) is not None:
        batch = [taken.id for taken in waiting.take(wanted)]
        assert batch == sorted(batch)
        assert batch
        served += batch
        switches += 1
    assert sorted(served) == [at for at in range(len(asked)) if at not in dropped]
    assert len(waiting) == 0
    assert switches <= (2 if one_pass else 4)
