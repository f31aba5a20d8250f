"""Memory that runs out while responses grow: the study goes on, and every token stays as it was."""

from collections.abc import Callable
from pathlib import Path
from weakref import WeakSet

import pytest
import torch

from mi_tui.engines.chat import Chat
from mi_tui.engines.protocol import Completion, EngineError, Request
from mi_tui.engines.transformers import scheduler
from mi_tui.engines.transformers.model import kv_cache
from mi_tui.engines.transformers.model.kv_cache import KVCache
from mi_tui.plan.recipe import Decoding, Recipe
from tests.checkpoints.families import tiny_pair
from tests.engines.support import engine_for, run

WARM = Decoding(temperature=1.0, top_p=0.95)
BYTES_PER_TOKEN = 512
"""Of the pair's cache, in float32."""

LENGTHS = (380, 20, 90, 250, 40, 310, 120, 60, 200, 30, 150, 80, 33, 270)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return tiny_pair("qwen3", tmp_path_factory.mktemp("pair"))


@pytest.fixture(autouse=True)
def responses_as_long_as_their_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chat, "end_tokens", lambda *_: ())
    monkeypatch.setattr(scheduler, "_GROW_BACK_AFTER", 8)


def requests(lengths: tuple[int, ...] = LENGTHS) -> list[Request]:
    return [
        Request(n, Recipe(lambda_=(n % 3) / 2, decoding=WARM), (5, 6, 7 + n), n, most)
        for n, most in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def undisturbed(pair: tuple[Path, ...]) -> dict[int, Completion]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chat, "end_tokens", lambda *_: ())
        return run(engine_for(pair, "one-pass", batch=len(LENGTHS)), requests())


Card = Callable[[int], list[tuple[int, int]]]


@pytest.fixture
def refusing_card(monkeypatch: pytest.MonkeyPatch) -> Card:
    """A device that refuses storage beyond so many tokens, and did not say so before."""
    real, first = KVCache._move, KVCache._allocate

    def of(room: int) -> list[tuple[int, int]]:
        refused: list[tuple[int, int]] = []

        def move(self: KVCache, sequences: int, length: int) -> None:
            if self._keys and sequences * length > room:
                refused.append((sequences, length))
                raise torch.OutOfMemoryError("CUDA out of memory")
            real(self, sequences, length)

        def allocate(self: KVCache, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
            if self._capacity * self._length > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            first(self, layer, keys, values)

        monkeypatch.setattr(KVCache, "_move", move)
        monkeypatch.setattr(KVCache, "_allocate", allocate)
        return refused

    return of


@pytest.fixture
def telling_card(monkeypatch: pytest.MonkeyPatch) -> Card:
    """A device that says how much is free: beyond so many tokens nothing is even tried."""
    begin, move = KVCache.__init__, KVCache._move
    caches: WeakSet[KVCache] = WeakSet()

    def of(room: int) -> list[tuple[int, int]]:
        sizes: list[tuple[int, int]] = []

        def free(device: torch.device) -> int:
            return room * BYTES_PER_TOKEN - sum(cache._held(device) for cache in caches)

        def noted(self: KVCache, sequences: int) -> None:
            begin(self, sequences)
            caches.add(self)

        def watched(self: KVCache, sequences: int, length: int) -> None:
            before = self._held(torch.device("cpu"))
            move(self, sequences, length)
            assert free(torch.device("cpu")) >= 0 or self._held(torch.device("cpu")) < before
            sizes.append((sequences, length))

        monkeypatch.setattr(KVCache, "__init__", noted)
        monkeypatch.setattr(KVCache, "_move", watched)
        monkeypatch.setattr(kv_cache, "_WORTH_ASKING", 0)
        monkeypatch.setattr(kv_cache, "_KEPT_FREE", 0)
        monkeypatch.setattr(kv_cache, "_SHARE", {})
        monkeypatch.setattr(kv_cache, "_SHARE_TO_SPARE", 1.0)
        monkeypatch.setattr(kv_cache, "free_bytes", free)
        return sizes

    return of


@pytest.mark.parametrize("room", [384, 500, 1000, 2500])
def test_a_card_that_refuses_ends_no_study_and_changes_no_token(
    pair: tuple[Path, ...],
    undisturbed: dict[int, Completion],
    refusing_card: Card,
    room: int,
) -> None:
    refused = refusing_card(room)
    done = run(engine_for(pair, "one-pass", batch=8), requests())
    assert {n: c.tokens for n, c in done.items()} == {n: c.tokens for n, c in undisturbed.items()}
    assert refused


@pytest.mark.parametrize("room", [384, 500, 1000, 2500])
def test_a_card_that_says_what_is_free_is_never_asked_for_more(
    pair: tuple[Path, ...], undisturbed: dict[int, Completion], telling_card: Card, room: int
) -> None:
    sizes = telling_card(room)
    done = run(engine_for(pair, "one-pass", batch=8), requests())
    assert {n: c.tokens for n, c in done.items()} == {n: c.tokens for n, c in undisturbed.items()}
    assert sizes


def test_a_batch_that_cannot_grow_back_stays_at_its_size(
    pair: tuple[Path, ...], refusing_card: Card
) -> None:
    refused = refusing_card(8 * 96)
    done = run(engine_for(pair, batch=8), requests((170,) * 16))
    assert {c.token_count for c in done.values()} == {170}
    assert len(done) == 16
    assert refused


def test_storage_reaches_the_cap_of_the_longest_and_no_further(
    pair: tuple[Path, ...], refusing_card: Card
) -> None:
    refused = refusing_card(104)
    done = run(engine_for(pair, batch=1), requests((100,)))
    assert done[0].token_count == 100
    assert all(length > 104 for _, length in refused)


def test_a_sequence_that_does_not_fit_by_itself_is_an_error_with_advice(
    pair: tuple[Path, ...], refusing_card: Card
) -> None:
    refusing_card(96)
    with pytest.raises(EngineError, match="lower max_new_tokens"):
        run(engine_for(pair, batch=4), requests((150,)))


def test_a_growth_that_is_refused_half_way_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = KVCache(2)
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

    monkeypatch.setattr(torch.Tensor, "new_zeros", third_fails)
    before = slots._held(keys.device)
    with pytest.raises(torch.OutOfMemoryError):
        slots.resize(4)
    assert slots._held(keys.device) == before
    assert all(torch.equal(slots._keys[layer], keys + layer) for layer in range(3))
