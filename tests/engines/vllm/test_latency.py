"""How long a context vLLM is timed with: what its cache and the machine's patience allow."""

import pytest

from mi_tui.engines.vllm.latency import longest_context
from mi_tui.engines.vllm.response import PrefixCache


def cache(
    *, enabled: bool = True, tokens: int = 1 << 24, copies: int = 1, longest: int = 40960
) -> PrefixCache:
    return PrefixCache(enabled, 16, tokens, copies, longest)


@pytest.mark.parametrize(
    ("kept", "device", "sequences", "expected"),
    [
        (cache(), "cuda", 1, 8192),
        (cache(), "cuda", 16, 8192),
        (cache(), "cuda", 64, 2048),
        (cache(), "cpu", 1, 2048),
        (cache(), "cpu", 16, 512),
        (cache(longest=1024), "cpu", 1, 960),
        (cache(longest=40), "cpu", 1, 0),
        (cache(tokens=16 * 1000 * 2), "cuda", 16, 936),
        (cache(tokens=16 * 1000 * 2, copies=2), "cuda", 16, 1936),
        (cache(tokens=100), "cuda", 16, 0),
        (cache(enabled=False), "cuda", 1, 0),
    ],
)
def test_the_longest_context(kept: PrefixCache, device: str, sequences: int, expected: int) -> None:
    assert longest_context(kept, device, sequences) == expected
