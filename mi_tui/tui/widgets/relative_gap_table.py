"""σ as a table: a shade and a number in each cell, so that no colour is needed to read it."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mi_tui.checkpoints.relative_gap import Gap
from mi_tui.plan.scope import ModuleKind
from mi_tui.tui.widgets.scope_map import SHADES


def sigma_table(gap: Gap, accent: str, dim: str) -> RenderableType:
    """σ of the whole pair, then of each module kind and layer; ``accent`` and ``dim`` are styles.

    The shade runs from light to full at the largest cell.
    """
    values = {(cell.layer, cell.kind): cell.sigma for cell in gap.cells}
    largest = max((v for v in values.values() if not math.isnan(v)), default=0.0)
    kinds = [kind for kind in ModuleKind if any(cell.kind is kind for cell in gap.cells)]
    inside = [k for k in kinds if any((layer, k) in values for layer in gap.by_layer)]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("", *(Text(_name(kind), dim) for kind in inside), Text("whole layer", dim))
    for layer, whole in gap.by_layer.items():
        cells = [_cell(values.get((layer, kind)), largest, accent) for kind in inside]
        table.add_row(Text(f"layer {layer:>2}", dim), *cells, _cell(whole, largest, accent))
    totals = Table.grid(padding=(0, 2, 0, 0))
    for kind in kinds:
        totals.add_row(
            Text(f"{_name(kind):<11}", dim), _cell(gap.by_kind.get(kind), largest, accent)
        )
    head = Text.assemble(("σ = ", "bold"), (f"{gap.sigma:.4f}", f"bold {accent}"), "\n")
    return Group(head, totals, Text(), table)


def _name(kind: ModuleKind) -> str:
    return "FFN" if kind is ModuleKind.FFN else str(kind)


def _cell(value: float | None, largest: float, accent: str) -> Text:
    if value is None:
        return Text("")
    if math.isnan(value):
        return Text("–")
    if value == 0:
        return Text("·· 0.0000")
    share = value / largest if largest else 0.0
    shade = SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)]
    return Text.assemble((shade * 2, accent), f" {value:.4f}")
