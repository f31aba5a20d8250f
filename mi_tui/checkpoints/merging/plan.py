"""The plan of a merge: how every tensor comes about, before any byte is written."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.checks.compare import compare, compare_many
from mi_tui.checkpoints.checks.extra_tensors import PREDICTION_KEYS
from mi_tui.checkpoints.checks.findings import PairReport
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect, require_layers
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.companions import companion_files
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype, TensorPlan, TensorPlanner
from mi_tui.checkpoints.roles import head_name
from mi_tui.machine.host import free_disk
from mi_tui.plan.method import Role
from mi_tui.plan.pair import Pair, PredictionLayers
from mi_tui.plan.recipe import Recipe

SHARD_BYTES = 5 * 10**9
"""The size up to which tensors share a file, unless told otherwise."""


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
    copied; ``left_out`` are its tensors of prediction layers that are not. ``disk_needed`` and
    ``disk_free`` are bytes, the latter where ``out`` will lie.
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
    left_out: frozenset[str] = frozenset()

    @property
    def unties_head(self) -> bool:
        """Whether a head is written though the donor's config says that it is tied."""
        return self.donor.info.says_tied and head_name(t.name for t in self.tensors) is not None

    @property
    def config(self) -> dict[str, Any]:
        """The content of the result's config.json, but for the dtype: the donor's."""
        config = dict(self.donor.info.config)
        parts = [config]
        if isinstance(config.get("text_config"), dict):
            config["text_config"] = dict(config["text_config"])
            parts.append(config["text_config"])
        for part in parts:
            if self.unties_head:
                part["tie_word_embeddings"] = False
            if self.left_out:
                part |= {key: 0 for key in PREDICTION_KEYS if key in part}
        return config

    @property
    def kept_rows(self) -> tuple[int, ...]:
        """The token ids whose rows of embedding and head are the donor's at every λ."""
        return max((tensor.kept_rows for tensor in self.tensors), key=len, default=())

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
    planner = TensorPlanner(infos, donor.info, dtype, pair.prediction_layers)
    tensors = tuple(planner.by_recipe(name, recipe) for name in planner.names)
    plan = _plan(out, sides, donor, recipe, dtype, tensors, shard_bytes, report)
    return replace(plan, left_out=planner.left_out)


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
    prediction_layers: PredictionLayers = "keep",
) -> MergePlan:
    """Plan Σ wₖ·Wₖ over any number of checkpoints whose weights sum to one.

    Args:
        weighted: reference and weight of each checkpoint; negative weights extrapolate.
        out: the directory to be written.
        donor: position of the checkpoint that gives the companion files.
        dtype: dtype of the result.
        shard_bytes: size up to which tensors share a file.
        prediction_layers: what becomes of layers that predict further tokens.

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
    planner = TensorPlanner(infos, sides[donor].info, dtype, prediction_layers)
    weights = [weight for _, weight in weighted]
    tensors = tuple(planner.weighted(name, weights) for name in planner.names)
    plan = _plan(out, sides, sides[donor], None, dtype, tensors, shard_bytes, report)
    return replace(plan, left_out=planner.left_out)


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
