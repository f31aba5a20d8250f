"""Time per output token grows with the context, and the growth is what was measured."""

from pathlib import Path

import pytest

from mi_tui.engines.transformers.calibration import calibrate, concurrencies_within, longest_context
from mi_tui.engines.transformers.decoding.decoder import Decoder
from mi_tui.engines.transformers.decoding.timing import Speed
from tests.checkpoints.families import tiny_pair
from tests.engines.support import engine_for


def test_a_straight_line_through_the_contexts() -> None:
    asked: list[tuple[int, int]] = []

    def timed(sequences: int, context: int) -> Speed:
        asked.append((sequences, context))
        return Speed(0.5 * sequences, 0.01 * sequences + 2e-6 * context)

    one, four = calibrate((1, 4), lambda sequences: 3000 // sequences, timed)
    assert asked == [(1, 0), (1, 1000), (1, 3000), (4, 0), (4, 250), (4, 750)]
    assert (one.time_to_first_token, one.time_per_output_token) == (0.5, 0.01)
    assert one.time_per_context_token == pytest.approx(2e-6)
    assert four.time_per_context_token == pytest.approx(2e-6)


def test_without_room_only_the_short_context_is_timed() -> None:
    (point,) = calibrate((2,), lambda _: 0, lambda sequences, _: Speed(1.0, sequences))
    assert (point.time_per_output_token, point.time_per_context_token) == (2, 0.0)


def test_a_context_never_makes_a_token_quicker() -> None:
    (point,) = calibrate((1,), lambda _: 900, lambda _, context: Speed(1.0, 1.0 - 1e-6 * context))
    assert point.time_per_context_token == 0.0


@pytest.mark.parametrize(
    ("device", "sequences", "concurrencies"),
    [
        ("cuda", 256, (1, 4, 16, 64, 256)),
        ("cuda", 255, (1, 4, 16, 64)),
        ("cpu", 128, (1, 4, 16)),
        ("cpu", 5, (1, 4)),
    ],
)
def test_as_many_sequences_are_timed_at_once_as_memory_allows(
    device: str, sequences: int, concurrencies: tuple[int, ...]
) -> None:
    assert concurrencies_within(device, sequences) == concurrencies


@pytest.mark.parametrize(
    ("device", "positions", "free", "longest"),
    [
        ("cuda", 40000, 1 << 40, 8192),
        ("cpu", 40000, 1 << 40, 2048),
        ("cpu", 500, 1 << 40, 500),
        ("cpu", 40000, 4 * 100 * 1000 * 4, 1000),
        ("cpu", -20, 1 << 40, 0),
    ],
)
def test_the_longest_context_fits(device: str, positions: int, free: int, longest: int) -> None:
    assert longest_context(device, positions, 100, free, 4) == longest


def test_the_engine_times_steps_at_the_contexts_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_for(tiny_pair("qwen3", tmp_path))
    longest: list[int] = []
    real = Decoder.step

    def watch(self: Decoder) -> None:
        longest.append(max(self.lengths))
        real(self)

    monkeypatch.setattr(Decoder, "step", watch)
    (point,) = engine.calibrate((2,))
    assert point.time_per_context_token >= 0
    assert max(longest) > 200
    assert min(longest) < 40
