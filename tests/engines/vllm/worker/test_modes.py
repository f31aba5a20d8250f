"""Modes of vLLM in which λ per request would be wrong are named."""

from types import SimpleNamespace
from typing import Any

import pytest

from mi_tui.engines.vllm.worker.modes import wrong_modes


def config(drafts: Any = None, **changed: Any) -> SimpleNamespace:
    parallel = {
        "use_ubatching": False,
        "enable_batch_sharded_sampling": False,
        "prefill_context_parallel_size": 1,
        "use_sequence_parallel_moe": False,
    }
    cache = {"kv_sharing_fast_prefill": False}
    for settings in (parallel, cache):
        settings.update((key, value) for key, value in changed.items() if key in settings)
    return SimpleNamespace(
        parallel_config=SimpleNamespace(**parallel),
        cache_config=SimpleNamespace(**cache),
        speculative_config=drafts,
    )


def test_the_usual_modes_are_right() -> None:
    assert not list(wrong_modes(config()))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (config(use_ubatching=True), "micro-batches"),
        (config(enable_batch_sharded_sampling=True), "batch-sharded sampling"),
        (config(prefill_context_parallel_size=2), "prefill context parallelism"),
        (config(use_sequence_parallel_moe=True), "sequence-parallel experts"),
        (config(kv_sharing_fast_prefill=True), "kv_sharing_fast_prefill"),
        (config(drafts=SimpleNamespace(method="ngram")), "speculative decoding"),
    ],
)
def test_a_mode_with_other_rows_is_named(made: SimpleNamespace, said: str) -> None:
    (mode,) = wrong_modes(made)
    assert said in mode
