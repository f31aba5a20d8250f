"""The relative gap σ of a pair as a small heat map: layers down, module kinds across."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mi_tui.checkpoints.sigma import Gap
from mi_tui.plan.scope import ModuleKind

_SHADES = " ░▒▓█"


def heat_map(gap: Gap) -> RenderableType:
    """One row per layer (and one for what is in no layer), darker where the two differ more.

    The shade runs from nothing at σ = 0 to full at the largest cell; the number stands beside it.
    """
    values = {(cell.layer, cell.kind): cell.sigma for cell in gap.cells}
    largest = max((v for v in values.values() if not math.isnan(v)), default=0.0)
    kinds = [kind for kind in ModuleKind if any(cell.kind is kind for cell in gap.cells)]
    layers = sorted({cell.layer for cell in gap.cells if cell.layer is not None})
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", justify="right")
    for kind in kinds:
        table.add_column(str(kind))
    for layer in (*layers, None):
        name = "none" if layer is None else str(layer)
        cells = [_cell(values.get((layer, kind)), largest) for kind in kinds]
        table.add_row(name, *cells)
    return Group(Text(f"σ = {gap.sigma:.4f}: the relative gap Σ|A − B| / (Σ|A| + Σ|B|)"), table)


def _cell(value: float | None, largest: float) -> Text:
    if value is None:
        return Text("")
    if math.isnan(value):
        return Text("–")
    shade = _SHADES[round((len(_SHADES) - 1) * value / largest)] if largest else _SHADES[0]
    return Text(f"{shade * 2} {value:.4f}")
