"""Numbers on screen: short, and never wider than their column."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.analysis.results import Estimate
from mi_tui.present import numbers


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (950, "950"),
        (9999, "9999"),
        (12_345, "12.3k"),
        (250_000, "250k"),
        (4_100_000, "4.1M"),
        (2e9, "2.0G"),
    ],
)
def test_counts(number: float, shown: str) -> None:
    assert numbers.count(number) == shown


@given(st.floats(0, 9.9e11))
def test_a_count_has_at_most_five_characters(number: float) -> None:
    assert len(numbers.count(number)) <= 5


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.3, "0 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (3e5, "3.5 d"),
    ],
)
def test_durations(value: float | None, shown: str) -> None:
    assert numbers.duration(value) == shown


@pytest.mark.parametrize(
    ("moment", "shown"),
    [(1000.0, "just now"), (640.0, "6 min ago"), (2000.0, "just now"), (-85_400.0, "1 d ago")],
)
def test_how_long_ago(moment: float, shown: str) -> None:
    assert numbers.ago(moment, now=1000.0) == shown


@given(st.floats(-1, 2), st.integers(1, 60))
def test_a_bar_has_its_width(share: float, width: int) -> None:
    assert len(numbers.bar(share, width)) == width


@given(st.text(), st.integers(1, 30))
def test_cut_text_fits(text: str, width: int) -> None:
    assert len(numbers.cut(text, width)) <= max(width, 1)


def test_wide_intervals_take_little_room() -> None:
    assert numbers.percent_interval(Estimate(value=1.0, low=0.28, high=1.0)) == "100 ± 36 %"
    assert numbers.percent_interval(Estimate(value=0.5, low=0.45, high=0.55)) == "50.0 ± 5.0 %"
    assert numbers.tokens(Estimate(value=23, low=0, high=7.6e6)) == "23 ± ?"
    assert numbers.percent_interval(Estimate(value=1.0, low=0.99, high=1.0)) == "100 ± 0.5 %"


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_share_with_its_interval_has_at_most_twelve_characters(value: float, half: float) -> None:
    estimate = Estimate(value=value, low=max(value - half, 0), high=min(value + half, 1))
    assert len(numbers.percent_interval(estimate)) <= 12


@given(st.floats(0, 1))
def test_a_share_is_none_or_all_only_where_it_is(value: float) -> None:
    assert (numbers.percent(value) == "0 %") == (value == 0)
    assert (numbers.percent(value) == "100 %") == (value == 1)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.31, "0.31 s"), (12, "12 s"), (210, "3.5 min"), (750, "12 min")],
)
def test_the_time_of_a_response(value: float, shown: str) -> None:
    assert numbers.seconds(value) == shown
    around = numbers.seconds_interval(Estimate(value=value, low=value, high=value))
    assert around.split()[0] == shown.split()[0]


def test_a_time_ahead_is_a_clock_time_with_its_day_where_that_is_another() -> None:
    noon = time.mktime((2026, 11, 26, 12, 0, 0, 0, 0, -1))
    assert numbers.clock(3900, noon) == "13:05"
    assert numbers.clock(13 * 3600, noon) == "Fri 01:00"


def test_a_difference_in_points_has_its_interval() -> None:
    given_up = Estimate(value=0.0371, low=-0.034, high=0.0989)
    assert numbers.points_range(given_up) == "3.7 points (-3.4 – 9.9)"


def test_an_interval_that_says_nothing_is_no_number() -> None:
    wide = Estimate(value=0.05, low=1e-6, high=1e4)
    assert numbers.seconds_interval(wide) == "0.05 ± ? s"
    assert numbers.tokens(Estimate(value=8.0, low=0.0, high=1e6)) == "8 ± ?"
