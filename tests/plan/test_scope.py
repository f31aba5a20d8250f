"""Layer ranges and scopes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mi_tui.plan.scope import ALL_MODULES, ModuleKind, Scope, format_layers, parse_layers

ranges = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 50)).map(lambda t: f"{t[0]}-{t[0] + t[1]}"),
    min_size=1,
    max_size=5,
)


@given(ranges)
def test_layers_survive_formatting(parts: list[str]) -> None:
    layers = parse_layers(",".join(parts))
    assert parse_layers(format_layers(layers)) == layers


def test_all_is_no_restriction() -> None:
    assert parse_layers("all") == ()
    assert Scope().covers(None, ModuleKind.EMBEDDINGS)
    assert Scope().is_full


def test_one_layer_is_not_a_prefix_of_another() -> None:
    scope = Scope(layers=parse_layers("1"))
    assert scope.covers(1, ModuleKind.FFN)
    assert not scope.covers(10, ModuleKind.FFN)


def test_restricted_layers_leave_out_what_is_in_no_layer() -> None:
    scope = Scope(layers=parse_layers("0-35"))
    assert not scope.covers(None, ModuleKind.NORMS)


@pytest.mark.parametrize("text", ["", "a", "3-", "5-2", "1;2", "-1"])
def test_bad_layers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        parse_layers(text)


def test_scope_without_modules_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one module"):
        Scope(modules=())


def test_order_of_modules_does_not_matter() -> None:
    a = Scope(modules=(ModuleKind.FFN, ModuleKind.ATTENTION))
    b = Scope(modules=(ModuleKind.ATTENTION, ModuleKind.FFN))
    assert a.key == b.key


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (Scope(), "all layers, all modules"),
        (Scope(layers=parse_layers("12-35")), "layers 12–35"),
        (Scope(modules=tuple(k for k in ALL_MODULES if k is not ModuleKind.FFN)), "w/o FFN"),
        (Scope(modules=(ModuleKind.ATTENTION,)), "attention only"),
    ],
)
def test_scope_in_words(scope: Scope, text: str) -> None:
    assert str(scope) == text


def test_recipes_stored_before_there_were_mixers_mean_what_they_meant() -> None:
    """Literals as studies have them; the six first kinds together are everything."""
    everything = (
        '{"layers":"all","modules":["attention","ffn","router","norms","embeddings","head"],'
        '"outside":"instruct"}'
    )
    assert Scope.from_json(everything) == Scope()
    assert Scope().canonical_json() == everything
    attention = '{"layers":"0-3","modules":["attention","norms"],"outside":"thinking"}'
    assert Scope.from_json(attention).canonical_json() == attention
    without = (
        '{"layers":"all","modules":["ffn","router","norms","embeddings","head"],'
        '"outside":"instruct"}'
    )
    assert str(Scope.from_json(without)) == "w/o attention"
    assert Scope.from_json(without).canonical_json() == without


def test_mixers_and_vision_can_be_left_out_or_taken_alone() -> None:
    kinds = [kind for kind in ModuleKind if kind is not ModuleKind.MIXER]
    scope = Scope(modules=tuple(kinds))
    assert Scope.from_json(scope.canonical_json()) == scope
    assert str(scope) == "w/o mixer"
    assert not scope.covers(0, ModuleKind.MIXER)
    assert str(Scope(modules=(ModuleKind.VISION,))) == "vision only"
    assert Scope(modules=ALL_MODULES).covers(None, ModuleKind.VISION)
