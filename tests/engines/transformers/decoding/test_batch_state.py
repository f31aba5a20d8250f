"""Tokens that are read a step late: the same responses, whatever ends when."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mi_tui.engines.protocol import Completion, Request
from mi_tui.engines.transformers.decoding import batch_state
from mi_tui.engines.transformers.decoding.decoder import Decoder
from mi_tui.engines.transformers.model import sampler
from mi_tui.plan.recipe import Decoding, Recipe
from tests.checkpoints.families import tiny_pair
from tests.engines.support import engine_for, run

HOT = Decoding(temperature=1.5, top_p=0.9)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return tiny_pair("qwen3", tmp_path_factory.mktemp("pair"))


def requests(decoding: Decoding = HOT) -> list[Request]:
    """Some end by an end token, some at caps of 1 and more."""
    recipes = [Recipe(lambda_=at / 2, decoding=decoding) for at in range(3)]
    return [
        Request(n, recipes[n % 3], tuple(range(5, 7 + n % 5)), n, 1 + (7 * n) % 60)
        for n in range(40)
    ]


def responses(pair: tuple[Path, ...], wanted: list[Request]) -> dict[int, Completion]:
    return run(engine_for(pair, "one-pass", batch=7), wanted)


def told(done: dict[int, Completion]) -> dict[int, tuple[tuple[int, ...], str]]:
    return {n: (one.tokens, one.finish_reason) for n, one in done.items()}


def test_responses_are_those_that_are_read_at_once(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = told(responses(pair, requests()))
    assert {reason for _, reason in expected.values()} == {"stop", "length"}
    monkeypatch.setattr(batch_state, "_LATE", {"cpu"})
    assert told(responses(pair, requests())) == expected


def test_a_draw_from_too_few_candidates_is_done_again(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = requests(Decoding(temperature=5.0, top_p=0.95))
    monkeypatch.setattr(sampler, "_FULL_SORT", 8)
    monkeypatch.setattr(sampler, "_FIRST_CANDIDATES", 2)
    expected = told(responses(pair, wanted))
    monkeypatch.setattr(batch_state, "_LATE", {"cpu"})
    undone: list[int] = []
    real = batch_state.BatchState.skip

    def counted(self: batch_state.BatchState, count: int, tokens: int) -> None:
        undone.append(tokens)
        real(self, count, tokens)

    monkeypatch.setattr(batch_state.BatchState, "skip", counted)
    assert told(responses(pair, wanted)) == expected
    assert undone


def test_sequences_that_give_way_unaware_of_their_end_finish_all_the_same(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = told(responses(pair, requests()))
    monkeypatch.setattr(batch_state, "_LATE", {"cpu"})
    engine = engine_for(pair, "one-pass", batch=7)
    real, steps = Decoder.step, [0]

    def step(self: Decoder) -> None:
        steps[0] += 1
        if steps[0] % 3 == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(self)

    monkeypatch.setattr(Decoder, "step", step)
    assert told(run(engine, requests())) == expected


def test_tokens_below_zero_mark_what_is_not_certain() -> None:
    logits = torch.zeros(2, 5000)
    logits[1, 7] = 50.0
    ones: Tensor = torch.ones(2)
    draw = sampler.Draw(
        temperature=ones,
        top_p=0.9 * ones,
        top_k=torch.zeros(2, dtype=torch.long),
        seeds=torch.arange(2),
        positions=torch.arange(2),
        any_greedy=False,
        any_top_k=False,
    )
    flat, sharp = sampler.draw_tokens(logits, draw, at_once=True).tolist()
    assert flat < 0
    assert sharp == 7
    assert min(sampler.draw_tokens(logits, draw).tolist()) >= 0
