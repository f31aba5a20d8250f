"""Long and dynamic rope: no response depends on its neighbours."""

from pathlib import Path

import pytest

from mi_tui.engines.protocol import EngineError, Request
from mi_tui.plan.recipe import Recipe
from tests.checkpoints.weights import change_json
from tests.engines.support import GREEDY, engine_for, run
from tests.families.configs import CONFIGS
from tests.families.pair import build_pair

SHORT, LONG = tuple(range(5, 10)), tuple(range(5, 85))
RECIPE = Recipe(lambda_=0.37, decoding=GREEDY)
LIMIT = 64
"""Tokens of the original context of the config."""


def asked(at: int, prompt: tuple[int, ...], cap: int) -> Request:
    return Request(id=at, recipe=RECIPE, prompt=prompt, seed=0, max_new_tokens=cap)


def test_a_short_response_beside_a_long_one(tmp_path: Path) -> None:
    pair = build_pair(CONFIGS["phi3_longrope"](), tmp_path)
    engine = engine_for(pair)
    alone = run(engine, [asked(0, SHORT, 24)])
    beside = run(engine, [asked(1, SHORT, 24), asked(2, LONG, 24)])
    assert beside[1].tokens == alone[0].tokens
    # The frequencies are those of what a request may reach, from its first token on.
    (reaching,) = run(engine, [asked(3, SHORT, LIMIT)]).values()
    assert reaching.tokens[:24] != alone[0].tokens


def test_dynamic_rope_is_refused_beyond_its_limit(tmp_path: Path) -> None:
    pair = build_pair(CONFIGS["qwen2_swa"](), tmp_path)
    for folder in pair:
        change_json(
            folder / "config.json",
            max_position_embeddings=LIMIT,
            rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
        )
    engine = engine_for(pair)
    engine.add([asked(0, SHORT, LIMIT - len(SHORT))])
    with pytest.raises(EngineError, match="set max_new_tokens to 59 or less"):
        engine.add([asked(1, SHORT, LIMIT - len(SHORT) + 1)])
