"""The plan of a merge: how every tensor comes about, before any byte is written."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mi_tui.checkpoints.compare import compare, compare_many
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.findings import PairReport
from mi_tui.checkpoints.headers import BITS, MIXABLE, TensorInfo
from mi_tui.checkpoints.inspect import (
    EMBEDDING_NAMES,
    HEAD_NAME,
    CheckpointInfo,
    inspect,
    require_layers,
)
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.companions import companion_files
from mi_tui.checkpoints.roles import role_of
from mi_tui.machine.host import free_disk
from mi_tui.plan.method import ChunkMerge, Role
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe

MergeDtype = Literal["auto", "float32", "bfloat16", "float16"]
"""The dtype of the merged weights; ``auto`` keeps each tensor's (the donor's where they differ)."""

SHARD_BYTES = 5 * 10**9
"""The size up to which tensors share a file, unless told otherwise."""

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
    this order; chunks must then be computed in order, from the first. ``tail`` gives the rows
    behind the common ones where a vocabulary is padded differently.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    anchor: TensorInfo
    terms: tuple[Term, ...] = ()
    merge: ChunkMerge | None = None
    tail: TensorInfo | None = None

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
        tail = () if self.tail is None else (self.tail,)
        return (self.anchor, *(term.source for term in self.terms), *tail)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read for this one."""
        return tuple(stored.file for source in self.sources for stored in source.stored)


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint that goes into the merge; ``weight`` only in a weighted sum."""

    role: str
    info: CheckpointInfo
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class MergePlan:
    """Everything a merge will do, to be shown before it is done.

    ``recipe`` is ``None`` for a weighted sum. ``companions`` are the donor's files that are
    copied. ``disk_needed`` and ``disk_free`` are bytes, the latter where ``out`` will lie.
    """

    out: Path
    sources: tuple[Source, ...]
    donor: Source
    recipe: Recipe | None
    dtype: MergeDtype
    tensors: tuple[TensorPlan, ...]
    shard_bytes: int
    companions: tuple[Path, ...]
    report: PairReport
    disk_free: int

    @property
    def output_bytes(self) -> int:
        """The size of the merged weights."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @property
    def disk_needed(self) -> int:
        """The bytes the result takes, companion files and headers included."""
        return (
            self.output_bytes
            + sum(file.stat().st_size for file in self.companions)
            + 200 * len(self.tensors)
            + (1 << 20)
        )

    @property
    def output_dtypes(self) -> Mapping[str, int]:
        """The number of elements of each dtype in the result."""
        counts: dict[str, int] = {}
        for tensor in self.tensors:
            counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.count
        return counts

    @property
    def title(self) -> str:
        """What is made, in a few words."""
        if self.recipe is not None:
            return self.recipe.label
        return " + ".join(f"{source.weight:g} · {source.info}" for source in self.sources)


def plan_merge(
    recipe: Recipe,
    pair: Pair,
    out: Path,
    *,
    dtype: MergeDtype = "auto",
    shard_bytes: int = SHARD_BYTES,
) -> MergePlan:
    """Plan the merge of a pair by a recipe.

    Raises:
        CheckpointError: a checkpoint is missing or unusable, the pair does not fit, the method
            lacks its base model, or the recipe names layers there are not.
    """
    pair = pair.of(recipe)
    roles = recipe.merge_method.roles
    infos, report = _open(
        [_reference(pair, role, recipe) for role in roles],
        lambda found: compare(*found, trust_remote_code=pair.trust_remote_code),
    )
    require_layers(recipe, infos[1])
    sides = [Source(role, info) for role, info in zip(roles, infos, strict=True)]
    donor = sides[roles.index(pair.donor)]
    planner = _Planner(infos, donor.info, dtype)
    tensors = tuple(planner.by_recipe(name, recipe) for name in planner.names)
    return _plan(out, sides, donor, recipe, dtype, tensors, shard_bytes, report)


def _reference(pair: Pair, role: Role, recipe: Recipe) -> str:
    reference = pair.reference(role)
    if reference is None:
        raise CheckpointError(f"{recipe.label} needs a base model: name one in the pair")
    return reference


def plan_weighted_sum(
    weighted: Sequence[tuple[str, float]],
    out: Path,
    *,
    donor: int = -1,
    dtype: MergeDtype = "auto",
    shard_bytes: int = SHARD_BYTES,
) -> MergePlan:
    """Plan Σ wₖ·Wₖ over any number of checkpoints whose weights sum to one.

    Args:
        weighted: reference and weight of each checkpoint; negative weights extrapolate.
        out: the directory to be written.
        donor: position of the checkpoint that gives the companion files.
        dtype: dtype of the result.
        shard_bytes: size up to which tensors share a file.

    Raises:
        CheckpointError: as :func:`plan_merge`, or the weights do not sum to one.
    """
    total = math.fsum(weight for _, weight in weighted)
    if len(weighted) < 2 or not math.isclose(total, 1.0, abs_tol=1e-6):
        raise CheckpointError(
            f"the weights of a merge must sum to 1, and these {len(weighted)} sum to {total:g}"
        )
    infos, report = _open([reference for reference, _ in weighted], compare_many)
    sides = [
        Source(f"checkpoint {number}", info, weight)
        for number, (info, (_, weight)) in enumerate(zip(infos, weighted, strict=True), 1)
    ]
    planner = _Planner(infos, sides[donor].info, dtype)
    weights = [weight for _, weight in weighted]
    tensors = tuple(planner.weighted(name, weights) for name in planner.names)
    return _plan(out, sides, sides[donor], None, dtype, tensors, shard_bytes, report)


def _open(
    references: Sequence[str], check: Callable[[Sequence[CheckpointInfo]], PairReport]
) -> tuple[list[CheckpointInfo], PairReport]:
    """Inspect and check all checkpoints; weights are downloaded only when they fit.

    Raises:
        CheckpointError: one cannot be opened, or they do not fit.
    """
    infos = [inspect(locate(reference, weights=False)) for reference in references]
    _require_fit(check(infos))
    infos = [
        inspect(locate(str(info.location))) if info.location.repository else info for info in infos
    ]
    report = check(infos)
    _require_fit(report)
    return infos, report


def _require_fit(report: PairReport) -> None:
    if not report.fits:
        problem = report.errors[0]
        more = f" (and {len(report.errors) - 1} more)" if len(report.errors) > 1 else ""
        raise CheckpointError(
            f"these checkpoints do not fit: {problem.subject}: {problem.message}{more}"
        )


def _plan(
    out: Path,
    sides: Sequence[Source],
    donor: Source,
    recipe: Recipe | None,
    dtype: MergeDtype,
    tensors: tuple[TensorPlan, ...],
    shard_bytes: int,
    report: PairReport,
) -> MergePlan:
    return MergePlan(
        out=out,
        sources=tuple(sides),
        donor=donor,
        recipe=recipe,
        dtype=dtype,
        tensors=tensors,
        shard_bytes=shard_bytes,
        companions=companion_files(donor.info.location.path),
        report=report,
        disk_free=free_disk(out),
    )


class _Planner:
    """Finds each tensor on every side: tied heads, padded rows and dtypes settled."""

    def __init__(
        self,
        sides: Sequence[CheckpointInfo],
        donor: CheckpointInfo,
        dtype: MergeDtype,
    ) -> None:
        self._sides = sides
        self._donor = donor
        self._dtype = dtype
        # Whether the result has a head of its own follows from the donor's config.
        untied = [side for side in sides if not side.is_tied]
        if donor.is_tied and untied:
            raise CheckpointError(
                f"{donor} ties its head to the embeddings and {untied[0]} does not: "
                f"make {untied[0]} the donor"
            )
        owner = donor if HEAD_NAME in donor.tensors or donor.is_tied else untied[0]
        self.names = [name for name in owner.tensors if not (name == HEAD_NAME and donor.is_tied)]

    def by_recipe(self, name: str, recipe: Recipe) -> TensorPlan:
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
        return replace(plan, tail=model) if plan.common < plan.count else plan

    def _find(self, name: str) -> list[TensorInfo]:
        return [self._in(side, name) for side in self._sides]

    def _in(self, side: CheckpointInfo, name: str) -> TensorInfo:
        """A side's tensor; the embedding where its head is tied to it and not stored."""
        if name == HEAD_NAME and (side.is_tied or name not in side.tensors):
            name = next((n for n in EMBEDDING_NAMES if n in side.tensors), name)
        return side.tensors[name]
