"""The factors of SLERP: on the arc, and where there is none."""

import math

import pytest

from mi_tui.checkpoints.methods.slerp import PARALLEL, coefficients


def test_a_right_angle_keeps_the_norm() -> None:
    a, b = coefficients(0.5, 1.0, 1.0, 0.0)
    assert a == pytest.approx(math.sqrt(0.5))
    assert b == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize(
    ("norms", "product"),
    [
        ((1.0, 1.0), PARALLEL + 1e-6),  # nearly parallel
        ((1.0, 1.0), -1.0),  # opposite: every arc is as short
        ((2.0, 3.0), 6.0),
        ((1.0, 1.0), math.nan),
    ],
)
def test_without_an_arc_it_is_linear(norms: tuple[float, float], product: float) -> None:
    assert coefficients(0.3, *norms, product) == pytest.approx((0.7, 0.3))


def test_a_tensor_of_zeros_counts_as_orthogonal() -> None:
    """As in mergekit, which gives it the norm 1 instead."""
    assert coefficients(0.5, 0.0, 1.0, 0.0) == pytest.approx((math.sqrt(0.5), math.sqrt(0.5)))
