"""The heat map over two knobs: numbers, shades and signs on a narrow terminal."""

import re
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from mi_tui.analysis.search.knob_decision import KnobCell
from mi_tui.analysis.search.two_knobs import KnobResult
from mi_tui.plan.recipe import interpolation, with_knobs
from mi_tui.present.heat_map import knob_map

STEPS = [round(0.1 * step, 1) for step in range(11)]


def result() -> KnobResult:
    cells = tuple(
        KnobCell(
            attention=attention,
            ffn=ffn,
            score=0.1 * attention + 0.5 * ffn,
            tokens=100 * (attention + ffn),
            think_ratio=ffn,
            probability=float(attention + ffn <= 1.2),
        )
        for attention in [*STEPS, 0.57]
        for ffn in ([*STEPS] if attention in STEPS else [0.57])
    )
    uniform = interpolation(0.57)
    best = with_knobs(uniform, 0.2, 1.0)
    return KnobResult(uniform=uniform, recipe=best, cells=cells, sentence="")


def lines(width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(knob_map(result(), 0.9))
    shown = console.file
    assert isinstance(shown, StringIO)
    return shown.getvalue().splitlines()


@pytest.mark.parametrize("width", [76, 116])
def test_every_point_of_the_grid_is_shown_once(width: int) -> None:
    rows = [line.split() for line in lines(width) if line[:9].strip() in map(str, STEPS)]
    assert [row[0] for row in rows] == [str(step) for step in STEPS]
    numbers = [[int(number) for number in re.findall(r"\d+", " ".join(row[1:]))] for row in rows]
    wanted = [[round(100 * (0.1 * a + 0.5 * f)) for f in STEPS] for a in STEPS]
    assert np.abs(np.array(numbers) - np.array(wanted)).max() <= 1
    assert max(map(len, lines(width))) <= width


def test_shades_end_where_the_limit_is_not_kept_and_signs_mark_both_answers() -> None:
    text = lines(76)
    row = next(line for line in text if line.strip().startswith("0.2 "))
    assert row.split()[-1] == "▸█52"
    kept = next(line for line in text if line.strip().startswith("0.6 "))
    assert "=▓36" in kept
    assert kept.split()[-1] == "56"
