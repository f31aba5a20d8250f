"""What goes to the device follows from what is free there."""

import pytest

from mi_tui.engines.placement import place
from mi_tui.engines.protocol import EngineError

GIB = 1 << 30


@pytest.mark.parametrize(
    ("model", "free", "sources", "one_pass"),
    [(8, 80, True, True), (8, 40, True, False), (8, 24, False, False), (60, 70, False, False)],
)
def test_as_much_as_fits(model: int, free: int, sources: bool, one_pass: bool) -> None:
    placement = place(model * GIB, free * GIB)
    assert (placement.sources, placement.one_pass) == (sources, one_pass)
    assert bool(placement.reason) != one_pass


def test_a_model_that_does_not_fit_is_refused() -> None:
    with pytest.raises(EngineError, match=r"60\.0 GiB"):
        place(60 * GIB, 48 * GIB)
