import numpy as np
import pytest

from mi_tui.analysis.statistics.stages import stage_limits, stage_of

LAMBDAS = np.linspace(0, 1, 101)


@pytest.mark.parametrize(
    ("think_ratio", "stage"), [(0.0, 1), (0.049, 1), (0.05, 2), (0.6, 2), (0.95, 3), (1.0, 3)]
)
def test_the_think_ratio_names_the_stage(think_ratio: float, stage: int) -> None:
    assert stage_of(think_ratio) == stage


def test_limits_are_where_the_curve_crosses() -> None:
    centres = np.linspace(0.45, 0.55, 21)[:, None]
    curves = 1 / (1 + np.exp(-(LAMBDAS - centres) / 0.03))
    limits = stage_limits(LAMBDAS, curves)
    assert limits.first is not None
    assert limits.second is not None
    reach = 0.03 * np.log(19)
    assert limits.first.value == pytest.approx(0.5 - reach, abs=0.005)
    assert limits.second.value == pytest.approx(0.5 + reach, abs=0.005)
    assert limits.first.low < limits.first.value < limits.first.high


def test_a_curve_that_never_crosses_has_no_limit() -> None:
    flat = np.full((10, 101), 0.5)
    limits = stage_limits(LAMBDAS, flat)
    assert limits.first is None
    assert limits.second is None
