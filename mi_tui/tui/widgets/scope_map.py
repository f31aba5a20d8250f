"""The network in small: module kinds down, layers across, what is mixed filled in.

Each line is also the switch of its module kind. Where σ is known, the fill is the darker the
more the two checkpoints differ there: shades of the character, not of colour alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from rich.text import Text

from mi_tui.checkpoints.network import Network, Place
from mi_tui.plan.scope import LayerRange, ModuleKind, Scope
from mi_tui.present import signs
from mi_tui.tui.widgets.choice import Checks, Option

MIXED, KEPT, PARTLY = "■", "·", "▪"
"""Mixed, kept and partly mixed."""

_LABEL = 17
_NAMES = {ModuleKind.FFN: "FFN"}


class ScopeMap(Checks[ModuleKind]):
    """The module kinds to switch on, and beside each the layers in which it is mixed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"map--mixed", "map--kept", "map--scale"}

    def __init__(self, modules: Iterable[ModuleKind], *, id: str) -> None:
        super().__init__(_options(tuple(ModuleKind)), modules, id=id, per_line=1)
        self._network: Network | None = None
        self._layers: tuple[LayerRange, ...] = ()
        self._gap: Mapping[Place, float] = {}

    def show_network(self, network: Network | None, gap: Mapping[Place, float]) -> None:
        """Draw this network; ``gap`` has σ by place, empty where it is not known.

        Kinds that the network does not have are left out, and stay as they were.
        """
        if (network, gap) == (self._network, self._gap):
            return
        self._network, self._gap = network, gap
        self.offer(_options(network.kinds if network else tuple(ModuleKind)))

    def show_layers(self, layers: tuple[LayerRange, ...]) -> None:
        """Mix these layers; the empty tuple is all."""
        if layers != self._layers:
            self._layers = layers
            self.refresh()

    def render(self) -> Text:
        """The switches with their layers, and the scale below."""
        text = super().render()
        if self._network is None:
            return text
        for line in self._scale():
            text.append("\n")
            text.append_text(line)
        return text

    def drawn(self, index: int, option: Option[ModuleKind], width: int) -> Text:
        """The switch, then a cell for each layer, or one for what is in no layer."""
        text = super().drawn(index, option, width)
        if self._network is not None:
            text.append(" " * max(1, _LABEL - text.cell_len))
            text.append_text(self._cells(option.value))
        return text

    def _cells(self, kind: ModuleKind) -> Text:
        network = self._network
        assert network is not None
        text = Text()
        groups = self._groups(network.layers)
        if not any((layer, kind) in network.places for layer in range(network.layers)):
            return self._cell([(None, kind)], self._cell_width(groups))
        for group in groups:
            places = [(layer, kind) for layer in group]
            text.append_text(self._cell(places, self._cell_width(groups)))
        return text

    def _cell(self, places: Sequence[Place], width: int) -> Text:
        network = self._network
        assert network is not None
        there = [place for place in places if place in network.places]
        if not there:
            return Text(" " * width)
        mixed = [place for place in there if self._covers(place)]
        if not mixed:
            return Text(KEPT * width, self._style("map--kept"))
        shown = self._shade(mixed) if len(mixed) == len(there) else PARTLY
        return Text(shown * width, self._style("map--mixed"))

    def _covers(self, place: Place) -> bool:
        chosen = self.values
        return bool(chosen) and Scope(layers=self._layers, modules=chosen).covers(*place)

    def _shade(self, places: list[Place]) -> str:
        known = [s for place in places if not math.isnan(s := self._gap.get(place, math.nan))]
        if not known:
            return MIXED
        largest = max((s for s in self._gap.values() if not math.isnan(s)), default=0.0)
        share = max(known) / largest if largest > 0 else 0.0
        return signs.shade(share)[0]

    def _groups(self, layers: int) -> list[range]:
        """Neighbouring layers that share a cell where there is not room for each."""
        room = max(self.size.width - _LABEL, 8)
        each = max(1, math.ceil(layers / room))
        return [range(first, min(first + each, layers)) for first in range(0, layers, each)]

    @staticmethod
    def _cell_width(groups: Sequence[range]) -> int:
        """Few layers get wide cells."""
        return max(1, min(3, 36 // len(groups)))

    def _scale(self) -> list[Text]:
        """The layers' numbers, and what the signs mean."""
        assert self._network is not None
        groups = self._groups(self._network.layers)
        style = self._style("map--scale")
        numbers = _ruler(groups, self._cell_width(groups))
        meaning = f"{signs.SHADES} σ small to large" if self._gap else f"{MIXED} mixed"
        meaning += f"  {KEPT} kept"
        first = Text(f"{'    layer':<{_LABEL}}{numbers}", style)
        if first.cell_len + 3 + len(meaning) <= self.size.width:
            return [first.append(f"   {meaning}")]
        return [first, Text(f"{'':<{_LABEL}}{meaning}", style)]

    def _style(self, part: str) -> str:
        return str(self.get_component_rich_style(part, partial=True))

    def on_resize(self) -> None:
        """More room, more cells."""
        self.refresh(layout=True)


def _options(kinds: Iterable[ModuleKind]) -> list[Option[ModuleKind]]:
    return [Option(kind, _NAMES.get(kind, str(kind))) for kind in kinds]


def _ruler(groups: Sequence[range], width: int) -> str:
    """Every tenth layer over its cell, and the last, where there is room."""
    last = str(groups[-1][-1])
    end = len(groups) * width - len(last)
    line = ""
    for index, group in enumerate(groups):
        tens = [layer for layer in group if layer % 10 == 0]
        at = index * width
        if tens and at >= len(line) + (index > 0) and at + len(str(tens[0])) < end:
            line = f"{line:<{at}}{tens[0]}"
    return f"{line:<{max(end, len(line) + 1)}}{last}" if len(groups) > 1 else line or last
