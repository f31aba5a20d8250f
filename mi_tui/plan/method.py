"""The declaration of a merge method, and the registry of merge methods."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from mi_tui.registry import Registry

Role = Literal["instruct", "thinking", "base"]
"""A checkpoint that goes into a merge."""

Values = Mapping[str, float]
"""The value of each declared parameter; ``lambda`` among them where a method takes λ."""

Floats = Any
"""A NumPy array of float32, one chunk of a tensor. Plans do not import NumPy."""

LAMBDA = "lambda"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a method takes, beside λ.

    ``low`` is allowed only with ``includes_low``; ``high`` always is. ``paper`` is the value in
    the paper (arXiv 2510.10977, section 4.2), ``example`` what forms suggest where it has none.
    A parameter without ``default`` must be given. ``help`` completes "--name: …".
    """

    name: str
    help: str
    low: float
    high: float
    includes_low: bool = False
    integer: bool = False
    paper: float | None = None
    example: float | None = None
    default: float | None = None

    @property
    def suggested(self) -> float:
        """The value that forms start from."""
        for value in (self.paper, self.default, self.example):
            if value is not None:
                return value
        return self.high

    @property
    def allowed(self) -> str:
        """The range in words, such as ``a number above 0, at most 1``."""
        kind = "a whole number" if self.integer else "a number"
        if self.includes_low:
            return f"{kind} from {self.low:.10g} to {self.high:.10g}"
        return f"{kind} above {self.low:.10g}, at most {self.high:.10g}"

    def checked(self, value: object) -> float:
        """The value as it is stored: whole numbers as int, others as float.

        Raises:
            ValueError: it is no number, or out of range.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{self.name} = {value!r}: {self.allowed}")
        inside = self.low < value <= self.high or (self.includes_low and value == self.low)
        if not inside or (self.integer and value != int(value)):
            raise ValueError(f"{self.name} = {value:.10g}: {self.allowed}")
        return int(value) if self.integer else float(value)


@dataclass(frozen=True, slots=True)
class Sum:
    """A tensor as ``anchor + Σ weight · (source − anchor)``; the anchor's bytes without terms."""

    anchor: Role
    terms: tuple[tuple[Role, float], ...] = ()


class Tensor(Protocol):
    """One tensor of all sources, as a method sees it before the first chunk is merged."""

    @property
    def name(self) -> str:
        """Its name in the checkpoint."""

    @property
    def count(self) -> int:
        """The number of elements that all sources have."""

    def chunks(self, *roles: Role) -> Iterator[tuple[Floats, ...]]:
        """One pass over these sources; a chunk may be changed and lasts until the next one."""


MergeChunk = Callable[[Sequence[Floats]], Floats]
"""Merges a chunk: float32 arrays of the sources in their order, which it may change."""


@dataclass(frozen=True, slots=True)
class ChunkMerge:
    """A tensor by arithmetic of the method's own, chunk by chunk in float32.

    ``start`` is called once a tensor. It may pass over the tensor first (norms, a limit for the
    whole tensor) and returns what merges each chunk, called for all chunks in order. ``sources``
    are what a chunk holds, in this order.
    """

    sources: tuple[Role, ...]
    start: Callable[[Tensor], MergeChunk]


@dataclass(frozen=True, slots=True)
class Mergekit:
    """A method in mergekit's words.

    ``model`` are parameters of each model, ``shared`` those of the merge. Where the method takes
    λ, ``lambda_`` is mergekit's parameter for it: the weight of the side that is not its base
    model. ``lambda_is_shared`` writes it beside the shared ones. ``note`` becomes a comment.
    """

    method: str
    model: Mapping[str, float] = field(default_factory=dict)
    shared: Mapping[str, float | bool] = field(default_factory=dict)
    lambda_: str = ""
    lambda_is_shared: bool = False
    note: str = ""


class MergeMethod(ABC):
    """A way to merge a pair; one module of ``checkpoints/methods`` declares one.

    Attributes:
        name: in presets and on the command line.
        order: the place in lists, lower first.
        title: in a sentence: ``task arithmetic``.
        short: in labels: ``TA``.
        help: one line for the command line: what the method does.
        parameters: the numbers it takes, beside λ.
        needs_base: it adds changes to the base model that both sides were trained from.
        takes_lambda: it has a λ for each tensor, so that scope and rules apply.
        is_linear: the result is W(λ) = (1 − λ)·Instruct + λ·Thinking, so that rows of different
            λ can share a batch in one pass and lie on the curve over λ.
        in_paper: a baseline of the paper, which the ablation of baselines measures.
        example_lambda: what forms suggest for λ where the method takes it.
    """

    name: str
    order: int = 100
    title: str
    short: str
    help: str
    parameters: tuple[Parameter, ...] = ()
    needs_base: bool = False
    takes_lambda: bool = False
    is_linear: bool = False
    in_paper: bool = False
    example_lambda: float = 0.5

    @abstractmethod
    def tensor(self, values: Values) -> Sum | ChunkMerge:
        """How a tensor comes about; ``values`` hold the tensor's own λ where there is one."""

    def mergekit(self, values: Values) -> Mergekit | None:
        """The same merge in mergekit; ``None`` where mergekit has no such method."""
        del values
        return None

    def label(self, values: Values) -> str:
        """How a recipe is shown: the short name, λ, and what is not the suggested value."""
        name = f"{self.short}-{values[LAMBDA]:g}" if self.takes_lambda else self.short
        own = [p for p in self.parameters if values[p.name] != p.suggested]
        return " · ".join([name, *(f"{p.name} {values[p.name]:.10g}" for p in own)])

    def described(self, values: Values) -> str:
        """The method and all its numbers: ``TIES, scale 0.5, density 0.2``."""
        return ", ".join([self.title, *self._numbers(values)])

    def card(self, label: str, values: Values) -> str:
        """What a model card says of a recipe of this label, without a full stop."""
        numbers = ", ".join(self._numbers(values))
        return f"A merge by {self.name} ({label})" + (f": {numbers}" if numbers else "")

    @property
    def roles(self) -> tuple[Role, ...]:
        """The checkpoints that are opened."""
        return ("instruct", "thinking", "base") if self.needs_base else ("instruct", "thinking")

    @property
    def takes(self) -> str:
        """What it takes, in words: ``scale and density``."""
        names = [*((LAMBDA,) if self.takes_lambda else ()), *(p.name for p in self.parameters)]
        return _listed(names) or "no parameters"

    def checked(self, given: Mapping[str, object]) -> dict[str, float]:
        """The declared parameters in their order, defaults written out.

        Raises:
            ValueError: one is missing, unknown or out of range; the message says what is taken.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise ValueError(f"unknown key {name}: {self.name} takes {self.takes}")
        values = {}
        for name, parameter in known.items():
            value = given.get(name, parameter.default)
            if value is None:
                raise ValueError(f"{self.name} needs {name}, {parameter.allowed}")
            values[name] = parameter.checked(value)
        return values

    def _numbers(self, values: Values) -> list[str]:
        lambda_ = [f"λ {values[LAMBDA]:g}"] if self.takes_lambda else []
        return lambda_ + [f"{p.name} {values[p.name]:.10g}" for p in self.parameters]


def _listed(names: Sequence[str]) -> str:
    *most, last = names or ("",)
    return f"{', '.join(most)} and {last}" if most else last


METHODS: Registry[MergeMethod] = Registry("mi_tui.checkpoints.methods", "merge method")
"""All merge methods, by name."""
