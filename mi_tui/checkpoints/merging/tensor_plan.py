"""Plans of single tensors: how each comes about, with heads, rows and dtypes settled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from mi_tui.checkpoints.checks.extra_tensors import is_extra, is_prediction
from mi_tui.checkpoints.headers import BITS, MIXABLE, TensorInfo
from mi_tui.checkpoints.inspect import HEAD_NAME, CheckpointInfo
from mi_tui.checkpoints.roles import head_name, role_of
from mi_tui.checkpoints.vocabulary import reused_ids
from mi_tui.plan.method import ChunkMerge
from mi_tui.plan.pair import PredictionLayers
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind

MergeDtype = Literal["auto", "float32", "bfloat16", "float16"]
"""The dtype of the merged weights; ``auto`` keeps each tensor's (the donor's where they differ)."""

_SAFETENSORS = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}


@dataclass(frozen=True, slots=True)
class Term:
    """One checkpoint's tensor and its weight against the anchor."""

    source: TensorInfo
    weight: float


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """How one tensor of the result comes about.

    The result is ``anchor + Σ weight · (source − anchor)``; without terms it is the anchor's
    bytes. Integers and booleans are not mixed: the sources must equal the anchor. With ``merge``
    the method's own arithmetic takes the sum's place, on the anchor and the terms' sources in
    this order; chunks must then be computed in order, from the first. ``donor`` gives the rows
    behind the common ones where a vocabulary is padded differently, and those in ``kept_rows``
    (ascending), whose token ids mean something else on another side.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    anchor: TensorInfo
    terms: tuple[Term, ...] = ()
    merge: ChunkMerge | None = None
    donor: TensorInfo | None = None
    kept_rows: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """The number of elements of the result."""
        return math.prod(self.shape)

    @property
    def common(self) -> int:
        """How many elements, from the first, all sources have."""
        return min([self.count, self.anchor.count, *(term.source.count for term in self.terms)])

    @property
    def nbytes(self) -> int:
        """The size of the result in bytes."""
        return self.count * BITS[self.dtype] // 8

    @property
    def sources(self) -> tuple[TensorInfo, ...]:
        """All tensors that are read for this one."""
        donor = () if self.donor is None else (self.donor,)
        return (self.anchor, *(term.source for term in self.terms), *donor)

    @property
    def is_copy(self) -> bool:
        """Whether the result is one source's tensor, byte for byte."""
        as_stored = (self.anchor.dtype, self.anchor.shape) == (self.dtype, self.shape)
        as_stored = as_stored and self.anchor.stored == (self.anchor,)
        return as_stored and not self.terms and self.donor is None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read for this one."""
        return tuple(stored.file for source in self.sources for stored in source.stored)

    @property
    def row_elements(self) -> int:
        """The number of elements of one row."""
        return self.count // self.shape[0] if self.shape and self.shape[0] else self.count


class TensorPlanner:
    """Finds each tensor on every side: tied heads, padded and kept rows and dtypes settled."""

    def __init__(
        self,
        sides: Sequence[CheckpointInfo],
        donor: CheckpointInfo,
        dtype: MergeDtype,
        prediction_layers: PredictionLayers = "keep",
    ) -> None:
        self._sides = sides
        self._donor = donor
        self._dtype = dtype
        self._drops = prediction_layers == "drop"
        # One head that is not its embedding is enough: the mixture's is not its embedding either.
        names = [name for name in donor.tensors if name not in self.left_out]
        if all(side.is_tied for side in sides):
            names = [name for name in names if name != self._head]
        elif self._head not in donor.tensors and donor.embedding is not None:
            names.append(self._head)
        self.names = names

    @cached_property
    def left_out(self) -> frozenset[str]:
        """The donor's tensors of prediction layers, where those are to be dropped."""
        config = self._donor.text_config
        names = self._donor.tensors if self._drops else ()
        return frozenset(name for name in names if is_prediction(name, config))

    @cached_property
    def _head(self) -> str:
        """What the head is called where one is stored: a wrapper's has a name of its own."""
        stored = (head_name(side.tensors) for side in (self._donor, *self._sides))
        return next((name for name in stored if name is not None), HEAD_NAME)

    @cached_property
    def _embeddings(self) -> dict[Path, TensorInfo | None]:
        """The token embedding of each side, by where it lies."""
        return {side.location.path: side.embedding for side in (self._donor, *self._sides)}

    @cached_property
    def _reused(self) -> tuple[int, ...]:
        others = (side.tokenizer.vocabulary for side in self._sides)
        return reused_ids(self._donor.tokenizer.vocabulary, others)

    def by_recipe(self, name: str, recipe: Recipe) -> TensorPlan:
        """How the recipe makes a tensor: its method, at the λ of the tensor's role."""
        if not self._is_everywhere(name):
            return self._make(name, self._donor.tensors[name], ())
        found = dict(zip(recipe.merge_method.roles, self._find(name), strict=True))
        role = role_of(name)
        made = recipe.merge_method.tensor(recipe.values_at(role.layer, role.kind))
        if isinstance(made, ChunkMerge):
            anchor, *others = made.sources
            terms = tuple(Term(found[source], 0.0) for source in others)
            return self._make(name, found[anchor], terms, made)
        terms = tuple(Term(found[source], weight) for source, weight in made.terms)
        return self._make(name, found[made.anchor], terms)

    def weighted(self, name: str, weights: Sequence[float]) -> TensorPlan:
        """Anchored on the first checkpoint; one with all the weight is taken as it is."""
        if not self._is_everywhere(name):
            return self._make(name, self._donor.tensors[name], ())
        parts = [(info, w) for info, w in zip(self._find(name), weights, strict=True) if w != 0.0]
        if len(parts) == 1:
            return self._make(name, parts[0][0], ())
        anchor, *others = parts
        return self._make(name, anchor[0], tuple(Term(info, w) for info, w in others))

    def _make(
        self,
        name: str,
        anchor: TensorInfo,
        terms: tuple[Term, ...],
        merge: ChunkMerge | None = None,
    ) -> TensorPlan:
        model = self._in(self._donor, name)
        if model.dtype not in MIXABLE:
            return TensorPlan(name, model.dtype, model.shape, anchor, terms)
        dtype = model.dtype if self._dtype == "auto" else _SAFETENSORS[self._dtype]
        plan = TensorPlan(name, dtype, model.shape, anchor, terms, merge)
        if anchor == model and not terms:
            return plan
        kept = self._reused if self._has_a_row_for_each_id(model) else ()
        if plan.common < plan.count or kept:
            return replace(plan, donor=model, kept_rows=kept)
        return plan

    def _has_a_row_for_each_id(self, tensor: TensorInfo) -> bool:
        """Whether this is an embedding or a head (not one of positions), weight or bias."""
        embedding = self._embedding(self._donor)
        return (
            embedding is not None
            and tensor.shape[:1] == embedding.shape[:1]
            and role_of(tensor.name).kind in (ModuleKind.EMBEDDINGS, ModuleKind.HEAD)
            and "position" not in tensor.name
        )

    def _is_everywhere(self, name: str) -> bool:
        """False of a prediction layer or buffer that a side lacks: the donor's is taken."""
        return all(self._has(side, name) for side in self._sides) or not is_extra(
            name, self._donor.text_config
        )

    def _has(self, side: CheckpointInfo, name: str) -> bool:
        is_tied = name == self._head and self._embedding(side) is not None
        return name in side.tensors or is_tied

    def _find(self, name: str) -> list[TensorInfo]:
        return [self._in(side, name) for side in self._sides]

    def _in(self, side: CheckpointInfo, name: str) -> TensorInfo:
        """A side's tensor; the embedding where its head is tied to it and not stored."""
        if name == self._head and (side.is_tied or name not in side.tensors):
            return self._embedding(side) or side.tensors[name]
        return side.tensors[name]

    def _embedding(self, side: CheckpointInfo) -> TensorInfo | None:
        return self._embeddings[side.location.path]
