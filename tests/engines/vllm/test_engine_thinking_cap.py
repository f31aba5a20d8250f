"""Thoughts that are cut at a cap in a real vLLM: what plain transformers gives by hand."""

import pytest

from mi_tui.engines.protocol import Engine
from mi_tui.paths import demo_pair_folder
from tests.engines.capped import MOST, RECIPES, asked, by_hand, run_capped
from tests.engines.support import generated, merged_model, with_end

pytestmark = pytest.mark.slow

PAIR = tuple(demo_pair_folder() / side for side in ("instruct", "thinking"))


def test_capped_responses_are_those_made_by_hand(demo: Engine) -> None:
    requests, prompts = asked(demo, RECIPES)
    done = run_capped(demo, requests, prompts)
    for request in requests:
        cap = request.recipe.thinking_cap
        model = merged_model(PAIR, request.recipe)
        expected = (
            generated(model, request.prompt, MOST)
            if cap is None
            else by_hand(model, demo, request.prompt, cap)
        )
        assert with_end(done[request.id]) == expected, request.recipe.label
