"""A cache in pages: token for token that of plain transformers, and no longer than the tokens."""

from collections.abc import Callable
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
import torch
from torch import nn

from mi_tui.engines.chat import Chat
from mi_tui.engines.protocol import EngineError, Request
from mi_tui.engines.transformers import scheduler
from mi_tui.engines.transformers.model import page_table, paged_cache
from mi_tui.engines.transformers.model.attention import slot_attention
from mi_tui.engines.transformers.model.kv_cache import KVCache
from mi_tui.engines.transformers.model.paged_cache import PagedCache
from mi_tui.engines.transformers.model.slot_cache import SlotCache
from mi_tui.engines.transformers.weights import strategy
from mi_tui.plan.recipe import Decoding, Recipe
from tests.checkpoints.families import tiny_pair
from tests.engines.support import (
    GREEDY,
    engine_for,
    generated,
    merged_model,
    prompts,
    run,
    with_end,
)

WARM = Decoding(temperature=1.0, top_p=0.95)
BYTES_PER_PAGE = 512 * 16
LENGTHS = (380, 20, 90, 250, 40, 310, 120, 60, 200, 30, 150, 80, 33, 270)

OTHERS = ("gemma2", "gemma3", "mistral")


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 16 tokens, on a CPU."""
    for module in (page_table, paged_cache):
        monkeypatch.setattr(module, "PAGE", 16)
    monkeypatch.setattr(strategy, "why_no_pages", lambda *_: "")


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("mode", ["one-pass", "in-place"])
@pytest.mark.parametrize(
    "family",
    ["qwen3", "qwen3_moe", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)],
)
def test_responses_equal_the_merged_models(family: str, mode: str, tmp_path: Path) -> None:
    pair = tiny_pair(family, tmp_path)
    recipes = [Recipe(lambda_=lambda_, decoding=GREEDY) for lambda_ in (0.2, 0.7)]
    requests = [
        Request(number, recipes[number % 2], prompt, 0, 4 + 3 * (number % 9))
        for number, prompt in enumerate(prompts(24, longest=60))
    ]
    engine = engine_for(pair, mode, batch=10)  # type: ignore[arg-type]
    assert engine._scheduler._decoder.in_pages  # type: ignore[attr-defined]
    done = run(engine, requests)
    models = [merged_model(pair, recipe) for recipe in recipes]
    for request in requests:
        expected = generated(models[request.id % 2], request.prompt, request.max_new_tokens)
        assert with_end(done[request.id]) == expected


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("window", [None, 20])
@pytest.mark.parametrize("softcap", [None, 30.0])
def test_attention_over_pages_is_that_over_one_block(
    window: int | None, softcap: float | None
) -> None:
    lengths = np.random.default_rng(1).integers(2, 200, 40)
    states, query = torch.randn(40, 2, 200, 8), torch.randn(40, 4, 1, 8)

    def attended(slots: SlotCache) -> torch.Tensor:
        slots.begin_prefill(torch.arange(40), 200, None, np.full(40, 200))
        slots.update(states, -states, 0)
        slots.begin_decode(torch.arange(40), torch.from_numpy(lengths - 1), lengths)
        keys, values = slots.update(query[:, :2], query[:, 2:], 0)
        output, _ = slot_attention(
            nn.Identity(),
            query,
            keys,
            values,
            None,
            slots=slots,
            sliding_window=window,
            softcap=softcap,
        )
        return output

    torch.testing.assert_close(attended(PagedCache(40)), attended(KVCache(40)))


Card = Callable[[int], list[int]]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, pages: None) -> Card:
    """A device with room for so many pages, which refuses what it has not."""
    del pages
    begin, move, first = PagedCache.__init__, PagedCache._move, PagedCache._allocate
    caches: WeakSet[PagedCache] = WeakSet()
    monkeypatch.setattr(Chat, "end_tokens", lambda *_: ())
    monkeypatch.setattr(scheduler, "_GROW_BACK_AFTER", 8)
    monkeypatch.setattr(paged_cache, "_KEPT_FREE", 0)

    def of(room: int) -> list[int]:
        sizes: list[int] = []

        def held() -> int:
            return sum(cache._held(torch.device("cpu")) for cache in caches)

        def noted(self: PagedCache, sequences: int) -> None:
            begin(self, sequences)
            caches.add(self)

        def watched(self: PagedCache, kept: object, pages: int) -> None:
            move(self, kept, pages)  # type: ignore[arg-type]
            assert held() <= room * BYTES_PER_PAGE
            sizes.append(pages)

        def allocate(
            self: PagedCache, layer: int, keys: torch.Tensor, values: torch.Tensor
        ) -> None:
            if self._table.pages > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            first(self, layer, keys, values)

        monkeypatch.setattr(PagedCache, "__init__", noted)
        monkeypatch.setattr(PagedCache, "_allocate", allocate)
        monkeypatch.setattr(PagedCache, "_move", watched)
        monkeypatch.setattr(
            paged_cache, "free_bytes", lambda _: max(0, room * BYTES_PER_PAGE - held())
        )
        return sizes

    return of


def long_requests(lengths: tuple[int, ...] = LENGTHS) -> list[Request]:
    return [
        Request(n, Recipe(lambda_=(n % 3) / 2, decoding=WARM), (5, 6, 7 + n), n, most)
        for n, most in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return tiny_pair("qwen3", tmp_path_factory.mktemp("pair"))


@pytest.mark.parametrize(
    "room", [30, 200, *(pytest.param(room, marks=pytest.mark.slow) for room in (40, 70))]
)
def test_pages_that_run_out_end_no_study_and_change_no_token(
    pair: tuple[Path, ...], card: Card, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(strategy, "why_no_pages", lambda *_: "as on a CPU")
        expected = run(engine_for(pair, "one-pass", batch=len(LENGTHS)), long_requests())
    sizes = card(room)
    done = run(engine_for(pair, "one-pass", batch=8), long_requests())
    assert {n: c.tokens for n, c in done.items()} == {n: c.tokens for n, c in expected.items()}
    assert sizes


def test_one_long_response_does_not_dictate_the_batch(pair: tuple[Path, ...], card: Card) -> None:
    card(64)
    engine = engine_for(pair, batch=16)
    engine.add(long_requests((600,) + (40,) * 60))
    live = []
    while engine.pending:
        engine.step(0.0)
        live.append(len(engine._scheduler._decoder.sequences))  # type: ignore[attr-defined]
    # A block as long as the longest holds 64 · 16 / 604 = 1 at the end.
    assert np.mean(live[:120]) > 6


def test_a_response_that_does_not_fit_by_itself_is_an_error_with_advice(
    pair: tuple[Path, ...], card: Card
) -> None:
    card(8)
    with pytest.raises(EngineError, match="lower max_new_tokens"):
        run(engine_for(pair, batch=4), long_requests((150, 150, 150)))


@pytest.mark.usefixtures("pages")
def test_memory_that_something_else_takes_is_given_back(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Chat, "end_tokens", lambda *_: ())
    expected = run(engine_for(pair, "one-pass", batch=8), long_requests())
    real, steps, sizes = PagedCache.begin_decode, [0], []

    def failing(self: PagedCache, *args: object) -> None:
        real(self, *args)  # type: ignore[arg-type]
        steps[0] += 1
        if steps[0] in (50, 51, 120):
            sizes.append(self._capacity)
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(PagedCache, "begin_decode", failing)
    done = run(engine_for(pair, "one-pass", batch=8), long_requests())
    assert {n: c.tokens for n, c in done.items()} == {n: c.tokens for n, c in expected.items()}
    assert sizes[1] < sizes[0]


def test_a_growth_that_is_refused_half_way_is_undone(
    pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del pages
    slots = PagedCache(2)
    slots.begin_prefill(torch.arange(2), 64)
    keys = torch.randn(2, 2, 64, 4)
    for layer in range(3):
        slots.update(keys + layer, -keys - layer, layer)
    real, made = torch.Tensor.new_zeros, [0]

    def third_fails(tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        made[0] += 1
        if made[0] == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(tensor, shape)

    before = slots._held(keys.device)
    rows, positions, lengths = torch.arange(2), torch.tensor([64, 64]), np.array([65, 65])
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "new_zeros", third_fails)
        with pytest.raises(torch.OutOfMemoryError):
            slots.begin_decode(rows, positions, lengths)
    assert slots._held(keys.device) == before
    slots.begin_decode(rows, positions, lengths)
    found = slots._keys[2][torch.from_numpy(slots._table.table[1, :4]).long()].flatten(0, 1)
    assert torch.equal(found.transpose(0, 1), keys[1] + 2)
