"""Thoughts that are cut at a cap: token for token what plain transformers gives by hand."""

from dataclasses import replace
from typing import Literal

import pytest

from mi_tui.engines.protocol import EngineError
from mi_tui.engines.thinking_cap import CappedThinking, is_untouched
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.recipe import Decoding, Recipe, capped_thinking
from mi_tui.plan.thinking_tags import THINK
from tests.engines.capped import CAPS, MOST, RECIPES, asked, by_hand, run_capped
from tests.engines.support import engine_for, generated, merged_model, with_end

PAIR = tuple(demo_pair_folder() / side for side in ("instruct", "thinking"))


@pytest.mark.parametrize("mode", ["one-pass", "in-place"])
def test_capped_responses_are_those_made_by_hand(mode: Literal["one-pass", "in-place"]) -> None:
    engine = engine_for(PAIR, mode, batch=7)
    requests, prompts = asked(engine, RECIPES)
    done = run_capped(engine, requests, prompts)
    cut = 0
    for request in requests:
        cap = request.recipe.thinking_cap
        model = merged_model(PAIR, request.recipe)
        expected = (
            generated(model, request.prompt, MOST)
            if cap is None
            else by_hand(model, engine, request.prompt, cap)
        )
        response = done[request.id]
        assert with_end(response) == expected, request.recipe.label
        assert response.token_count == len(expected)
        assert response.token_count <= MOST
        cut += cap is not None and engine.encode("</think>")[0] == expected[cap]
    assert cut > len(CAPS)


def test_a_response_that_the_cap_leaves_alone_is_the_one_without_it() -> None:
    engine = engine_for(PAIR, "one-pass", batch=24)
    sampled = Decoding(temperature=0.8)
    plain, prompts = asked(engine, [Recipe(lambda_=1.0, decoding=sampled)])
    free = run_capped(engine, plain, prompts)
    for cap in (30, 60, 100):
        capped = [replace(one, recipe=capped_thinking(cap, sampled)) for one in plain]
        found = run_capped(engine, capped, prompts)
        kept = [
            one.id
            for one in plain
            if is_untouched(free[one.id], cap, prompts[one.id], (THINK,), engine.encode)
        ]
        assert [n for n in found if found[n].tokens == free[n].tokens] == [
            n for n in found if n in kept
        ]
        for number in set(found) - set(kept):
            thought = free[number].tokens[:cap]
            assert found[number].tokens[: cap + 1] == (*thought, *engine.encode("</think>"))
    assert kept


def test_a_capped_request_can_be_forgotten_in_either_phase() -> None:
    engine = engine_for(PAIR, "one-pass", batch=24)
    requests, prompts = asked(engine, [capped_thinking(9, Decoding(temperature=0))])
    capped = CappedThinking(engine, (THINK,))
    capped.add(requests, prompts)
    capped.step(0.0)
    capped.cancel(request.id for request in requests[1:])
    done = []
    while engine.pending:
        done += capped.step(0.1)
    assert [response.request_id for response in done] == [requests[0].id]


def test_no_engine_takes_a_cap_for_a_plain_request() -> None:
    engine = engine_for(PAIR, "one-pass", batch=2)
    requests, _ = asked(engine, [capped_thinking(9)])
    with pytest.raises(EngineError, match="Thinking · thought ≤ 9 is no single request"):
        engine.add(requests)
