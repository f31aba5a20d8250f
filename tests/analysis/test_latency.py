import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.analysis.latency import Latency, LatencyError, latency_from_points
from mi_tui.analysis.results import Estimate, LatencyPoint

POINTS = (LatencyPoint(1, 0.1, 0.02), LatencyPoint(16, 0.4, 0.05), LatencyPoint(4, 0.2, 0.03))


def test_measured_concurrencies_are_taken_as_they_are() -> None:
    found = latency_from_points(POINTS, 4)
    assert found is not None
    assert (found.time_to_first_token, found.time_per_output_token) == (0.2, 0.03)


def test_between_points_is_interpolated_and_outside_the_nearest_holds() -> None:
    between, outside = latency_from_points(POINTS, 10), latency_from_points(POINTS, 99)
    assert between is not None
    assert outside is not None
    assert between.time_per_output_token == pytest.approx(0.04)
    assert outside.time_per_output_token == 0.05


def test_nothing_measured_is_no_latency() -> None:
    assert latency_from_points(()) is None


@given(st.floats(1, 1e5))
def test_tokens_and_seconds_are_inverse(tokens: float) -> None:
    latency = Latency(0.3, 0.011)
    assert latency.tokens(latency.seconds(tokens)) == pytest.approx(tokens)


def test_a_response_that_never_starts_in_time_has_no_tokens() -> None:
    assert Latency(2.0, 0.01).tokens(1.0) == 0


def test_the_error_of_the_speed_widens_the_interval() -> None:
    tokens = Estimate(value=100, low=90, high=110)
    sure = Latency(0.1, 0.02, relative_error=0.0).project(tokens)
    unsure = Latency(0.1, 0.02, relative_error=0.2).project(tokens)
    assert sure.low == pytest.approx(0.1 + 0.02 * 89)
    assert unsure.low < sure.low < sure.high < unsure.high


@pytest.mark.parametrize(("first", "each"), [(0.1, 0.0), (-0.1, 0.1)])
def test_impossible_speeds_are_refused(first: float, each: float) -> None:
    with pytest.raises(LatencyError, match="figures of your server"):
        Latency(first, each)


@given(st.floats(1, 1e5), st.floats(0, 1e-5))
def test_tokens_and_seconds_are_inverse_with_a_growing_context(
    tokens: float, growth: float
) -> None:
    latency = Latency(0.3, 0.011, time_per_context_token=growth)
    assert latency.tokens(latency.seconds(tokens)) == pytest.approx(tokens)


def test_a_growing_context_adds_up_over_the_tokens() -> None:
    latency = Latency(0.5, 0.01, time_per_context_token=1e-5)
    each = sum(0.01 + 1e-5 * written for written in range(1, 1000))
    assert latency.seconds(1000) == pytest.approx(0.5 + each)


def test_the_growth_is_interpolated_too() -> None:
    points = (LatencyPoint(1, 0.1, 0.02, 1e-6), LatencyPoint(3, 0.1, 0.02, 3e-6))
    found = latency_from_points(points, 2)
    assert found is not None
    assert found.time_per_context_token == pytest.approx(2e-6)
