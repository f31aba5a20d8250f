"""TIES: exactly the largest changes are kept, and signs elected."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.checkpoints.kernels.ties import Floats, find_trim, merge_disjoint

CHANGES = st.lists(
    st.floats(-10, 10, width=32) | st.sampled_from([0.0, -0.0, 1.0, -1.0]), min_size=1, max_size=300
)


@given(CHANGES, st.floats(0.01, 1.0), st.integers(1, 100))
def test_trimming_keeps_exactly_the_largest(values: list[float], density: float, step: int) -> None:
    change = np.array(values, np.float32)

    def chunks() -> list[Floats]:
        return [change[i : i + step].copy() for i in range(0, len(change), step)]

    trim = find_trim(chunks, len(change), density)
    trimmed = chunks()
    for chunk in trimmed:
        trim.apply(chunk)
    result = np.concatenate(trimmed)
    keep = len(change) if density >= 1 else max(1, int(density * len(change)))
    order = np.argsort(-np.abs(change), kind="stable")
    expected = np.zeros_like(change)
    expected[order[:keep]] = change[order[:keep]]
    assert np.array_equal(result, expected)


def test_signs_are_elected_and_agreeing_changes_averaged() -> None:
    one = np.array([1.0, 3.0, -1.0, 0.0, 2.0], np.float32)
    two = np.array([3.0, -1.0, -3.0, 4.0, -2.0], np.float32)
    out = np.empty(5, np.float32)
    merge_disjoint([(1.0, one), (1.0, two)], out)
    assert out.tolist() == [2.0, 3.0, -2.0, 4.0, 2.0]
