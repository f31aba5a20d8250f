"""Shares in per cent."""

import math

import pytest

from mi_tui.text.percent import percent, percent_range


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.001, "<1 %"), (0.62, "62 %"), (0.999, ">99 %"), (1.0, "100 %"), (None, "–"),
     (math.nan, "–")],
)  # fmt: skip
def test_a_share_is_never_rounded_to_none_or_all(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_an_interval_has_its_unit_once() -> None:
    assert percent_range(0.842, 0.786, 0.892) == "84.2 % (78.6 – 89.2)"
