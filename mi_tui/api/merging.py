"""Merges without a study: what two checkpoints and λ give, and its writing."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from mi_tui.checkpoints.merging.manifest import Manifest
from mi_tui.checkpoints.merging.plan import SHARD_BYTES, MergePlan, plan_merge
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype
from mi_tui.checkpoints.merging.threads import Progress
from mi_tui.checkpoints.merging.write import carry_out
from mi_tui.errors import MiTuiError
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import LambdaRule, Recipe
from mi_tui.plan.toml import explain

Reference = str | PathLike[str]
"""A checkpoint: a directory, a hub id with or without ``@revision``, or ``bundled:NAME``."""


class RecipeError(MiTuiError):
    """A merge that is asked for in a way that makes no recipe."""


def merge(
    instruct: Reference,
    thinking: Reference,
    lambda_: float | None,
    out: Reference,
    *,
    overwrite: bool = False,
    allow_nonfinite: bool = False,
    progress: Progress | None = None,
    layers: str = "all",
    modules: Iterable[str] | Literal["all"] = "all",
    outside: str = "instruct",
    rules: Sequence[LambdaRule | Mapping[str, object]] = (),
    method: str = "interpolation",
    base: Reference | None = None,
    donor: str = "thinking",
    dtype: MergeDtype = "auto",
    shard_bytes: int = SHARD_BYTES,
    prediction_layers: str = "keep",
    **parameters: float | None,
) -> Manifest:
    """Write one merged checkpoint: W(λ) = λ · Thinking + (1 − λ) · Instruct.

    The directory appears complete or not at all. Memory stays at some MiB for each thread.

    Args:
        instruct: the Instruct side.
        thinking: the Thinking side.
        lambda_: from 0 (Instruct) to 1 (Thinking); ``None`` where the method takes none.
        out: the directory to write.
        overwrite: replace an earlier merge; never a directory with files of another origin.
        allow_nonfinite: write NaN and Inf values, and name their tensors in the manifest.
        progress: told the bytes done and the bytes in all, about ten times a second.
        layers: those that are mixed, such as ``"12-35"`` or ``"0-11,24-35"``.
        modules: the module kinds that are mixed, such as ``("attention", "ffn")``.
        outside: whose weights the rest keeps, ``"instruct"`` or ``"thinking"``.
        rules: parts with a λ of their own; the last that covers a tensor wins.
        method: the merge method.
        base: the base model, for methods that need one.
        donor: whose config, tokenizer and chat template are taken.
        dtype: of the result; ``"auto"`` is that of the sources.
        shard_bytes: the size of a file of weights.
        prediction_layers: ``"drop"`` leaves out layers that predict further tokens (``mtp.*``).
        parameters: of the method, such as ``scale`` and ``density``.

    Returns:
        What was written, with the hashes of sources and files.

    Raises:
        RecipeError: λ, scope, method and parameters do not belong together.
        CheckpointError: a checkpoint cannot be read, the pair does not fit, or ``out`` cannot be
            written.
    """
    plan = plan_of_merge(
        instruct,
        thinking,
        lambda_,
        out,
        layers=layers,
        modules=modules,
        outside=outside,
        rules=rules,
        method=method,
        base=base,
        donor=donor,
        dtype=dtype,
        shard_bytes=shard_bytes,
        prediction_layers=prediction_layers,
        **parameters,
    )
    return carry_out(plan, progress=progress, overwrite=overwrite, allow_nonfinite=allow_nonfinite)


def plan_of_merge(
    instruct: Reference,
    thinking: Reference,
    lambda_: float | None,
    out: Reference,
    *,
    layers: str = "all",
    modules: Iterable[str] | Literal["all"] = "all",
    outside: str = "instruct",
    rules: Sequence[LambdaRule | Mapping[str, object]] = (),
    method: str = "interpolation",
    base: Reference | None = None,
    donor: str = "thinking",
    dtype: MergeDtype = "auto",
    shard_bytes: int = SHARD_BYTES,
    prediction_layers: str = "keep",
    **parameters: float | None,
) -> MergePlan:
    """What :func:`merge` would write, without writing it.

    Raises:
        RecipeError: as :func:`merge`.
        CheckpointError: a checkpoint cannot be read, or the pair does not fit.
    """
    scope: dict[str, object] = {"layers": layers, "outside": outside}
    if modules != "all":
        scope["modules"] = tuple(modules)
    recipe: dict[str, Any] = {
        "method": method,
        "lambda": lambda_,
        "scope": scope,
        "rules": tuple(rules),
        **{name: value for name, value in parameters.items() if value is not None},
    }
    pair: dict[str, Any] = {
        "instruct": str(instruct),
        "thinking": str(thinking),
        "donor": donor,
        "prediction_layers": prediction_layers,
    }
    if base:
        pair["base"] = str(base)
    try:
        # As arguments: lists and words may stand for tuples and their kinds there.
        made, sides = Recipe(**recipe), Pair(**pair)
    except ValidationError as error:
        # What concerns the whole recipe is said of a preset there.
        said = explain(error.errors()).removeprefix("preset: ")
        raise RecipeError(f"merge: {said}") from error
    return plan_merge(made, sides, Path(out), dtype=dtype, shard_bytes=shard_bytes)
