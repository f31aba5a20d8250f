"""Scopes: the layers and module kinds that are interpolated."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from mi_tui.plan.base import Plan


class ModuleKind(StrEnum):
    """What a tensor does in the network.

    ``mixer`` are token mixers other than attention: Mamba, short convolutions, delta nets, linear
    attention. ``vision`` are the towers beside a decoder, for images or sound, projectors included.
    """

    ATTENTION = "attention"
    MIXER = "mixer"
    FFN = "ffn"
    ROUTER = "router"
    NORMS = "norms"
    EMBEDDINGS = "embeddings"
    HEAD = "head"
    VISION = "vision"


class LayerRange(Plan):
    """Layers ``first`` to ``last``, both included, counted from 0."""

    first: int = Field(ge=0)
    last: int = Field(ge=0)

    def __contains__(self, layer: int) -> bool:
        return self.first <= layer <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


_RANGE = re.compile(r"(\d+)(?:\s*[-–]\s*(\d+))?")


def parse_layers(text: str) -> tuple[LayerRange, ...]:
    """Read ``all``, ``12-35`` or ``0-11,24-35``; ``all`` is the empty tuple.

    Raises:
        ValueError: the text is no list of layer ranges, or a range runs backwards.
    """
    if text.strip().lower() == "all":
        return ()
    ranges = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{text!r} is no layer range: write all, 12-35 or 0-11,24-35")
        first = int(match[1])
        last = int(match[2] or match[1])
        if last < first:
            raise ValueError(f"layer range {part.strip()!r} runs backwards: write {last}-{first}")
        ranges.append(LayerRange(first=first, last=last))
    return tuple(sorted(ranges, key=lambda r: (r.first, r.last)))


def format_layers(ranges: tuple[LayerRange, ...]) -> str:
    """The text that :func:`parse_layers` reads back."""
    return ",".join(map(str, ranges)) or "all"


def _read_layers(value: Any) -> Any:
    return parse_layers(value) if isinstance(value, str) else value


Modules = tuple[ModuleKind, ...]
ALL_MODULES: Modules = tuple(ModuleKind)
DECODER_MODULES: Modules = tuple(
    kind for kind in ModuleKind if kind not in (ModuleKind.MIXER, ModuleKind.VISION)
)
"""All there was when the first recipes were stored: together they stand for everything, as then."""


def _read_modules(value: Modules) -> Modules:
    if not value:
        raise ValueError("name at least one module kind")
    kinds = tuple(kind for kind in ModuleKind if kind in value)
    return ALL_MODULES if kinds == DECODER_MODULES else kinds


def _write_modules(value: Modules) -> list[str]:
    return [str(kind) for kind in (DECODER_MODULES if value == ALL_MODULES else value)]


def modules_of(present: Iterable[ModuleKind]) -> Modules:
    """The kinds of a network whose tensors have these: those of every decoder, and what it adds."""
    return tuple(kind for kind in ModuleKind if kind in {*DECODER_MODULES, *present})


Layers = Annotated[
    tuple[LayerRange, ...],
    BeforeValidator(_read_layers, json_schema_input_type=str),
    PlainSerializer(format_layers, return_type=str),
]
"""Layer ranges, written as text (``"12-35"``) in presets and JSON; empty means all layers."""

StoredModules = Annotated[
    Modules, AfterValidator(_read_modules), PlainSerializer(_write_modules, return_type=list[str])
]
"""Module kinds in their usual order, as presets and stored recipes write them."""


class Scope(Plan):
    """The part of the model that is interpolated; the rest keeps one side's weights.

    Tensors outside the layer stack (embeddings, final norm, head) are in scope only when the
    layers are not restricted, as in the layer ablation of the paper (section 4.3).
    """

    layers: Layers = ()
    modules: StoredModules = ALL_MODULES
    outside: Literal["instruct", "thinking"] = "instruct"

    @property
    def is_full(self) -> bool:
        """Whether every tensor is interpolated."""
        return not self.layers and self.modules == ALL_MODULES

    def covers(self, layer: int | None, kind: ModuleKind) -> bool:
        """Whether a tensor of this kind in this layer (``None``: in no layer) is in scope."""
        if kind not in self.modules:
            return False
        if not self.layers:
            return True
        return layer is not None and any(layer in r for r in self.layers)

    def __str__(self) -> str:
        parts = []
        if self.layers:
            parts.append("layers " + format_layers(self.layers).replace("-", "–"))
        if self.modules != ALL_MODULES:
            missing = [k for k in _named(self.modules) if k not in self.modules]
            few = len(missing) <= len(self.modules)
            named = missing if few else list(self.modules)
            text = ", ".join("FFN" if k is ModuleKind.FFN else str(k) for k in named)
            parts.append(f"w/o {text}" if few else f"{text} only")
        if self.outside == "thinking":
            parts.append("rest Thinking")
        return " · ".join(parts) or "all layers, all modules"


def _named(modules: Modules) -> Modules:
    """The kinds whose lack is worth a word: a recipe that names neither of the rarer two is old."""
    rare = {ModuleKind.MIXER, ModuleKind.VISION}
    return ALL_MODULES if rare & set(modules) else DECODER_MODULES
