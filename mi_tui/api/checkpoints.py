"""Checks and merges of checkpoints without a study."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from mi_tui.checkpoints.compare import PairReport, compare
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging import write
from mi_tui.checkpoints.merging.manifest import Manifest
from mi_tui.checkpoints.merging.plan import MergeDtype
from mi_tui.checkpoints.merging.threads import Progress
from mi_tui.errors import MiTuiError
from mi_tui.notebook import html_table
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import LambdaRule, Recipe
from mi_tui.plan.toml import explain
from mi_tui.probes.text import shown_line
from mi_tui.study.preflight import fit_findings, loading_findings

Reference = str | PathLike[str]
"""A checkpoint: a directory, a hub id with or without ``@revision``, or ``bundled:NAME``."""


class RecipeError(MiTuiError):
    """A merge that is asked for in a way that makes no recipe."""


class Report(PairReport):
    """Whether checkpoints can be mixed, and everything that was looked at.

    Each of ``findings`` has a ``level`` (``ok``, ``warning`` or ``error``), a ``subject`` and a
    ``message`` of one line.
    """

    __slots__ = ()

    @property
    def ok(self) -> bool:
        """Whether the checkpoints can be mixed: no finding is an error."""
        return self.fits

    def __str__(self) -> str:
        return "\n".join(
            f"{finding.level:<7} {finding.subject}: {shown_line(finding.message)}"
            for finding in self.findings
        )

    def __repr__(self) -> str:
        return f"<Report: {'fits' if self.ok else 'does not fit'}, {len(self.findings)} findings>"

    def _repr_html_(self) -> str:
        rows = [(f.level, f.subject, shown_line(f.message)) for f in self.findings]
        return html_table(("", "subject", "finding"), rows, "fits" if self.ok else "does not fit")


def check(
    instruct: Reference,
    thinking: Reference,
    *,
    base: Reference | None = None,
    trust_remote_code: bool = False,
    engine: EnginePlan | None = None,
    weights: bool = False,
    loading: bool = True,
) -> Report:
    """Check that two checkpoints can be mixed, from headers and JSON files alone.

    Warnings say, too, what the engine will do with them on this machine, and whether a merged
    checkpoint fits the disk.

    Takes some seconds, nearly all of them to ask transformers how it would load each side; of a
    checkpoint on the hub the small files are fetched.

    Args:
        instruct: the Instruct side.
        thinking: the Thinking side.
        base: the base model of the baselines.
        trust_remote_code: accept code that comes with a checkpoint; it is not run here.
        engine: how they would be run; by default as a preset does that says nothing of it.
        weights: fetch the weights of a hub checkpoint, too.
        loading: ask transformers how it would load each side, in a process of its own. Without
            it a check takes well under a second.

    Raises:
        CheckpointError: a checkpoint cannot be found or read.
    """
    sides = [str(side) for side in (instruct, thinking, base) if side]
    infos = [inspect(locate(side, weights=weights)) for side in sides]
    findings = list(compare(*infos, trust_remote_code=trust_remote_code).findings)
    if loading:
        named = dict(zip(("instruct", "thinking", "base"), infos, strict=False))
        findings += loading_findings(named, trust_remote_code=trust_remote_code)
    return Report((*findings, *fit_findings(infos[0], infos[1], engine)))


def merge(
    instruct: Reference,
    thinking: Reference,
    lambda_: float | None,
    out: Reference,
    *,
    layers: str = "all",
    modules: Iterable[str] | Literal["all"] = "all",
    outside: Literal["instruct", "thinking"] = "instruct",
    rules: Sequence[LambdaRule] = (),
    method: str = "interpolation",
    base: Reference | None = None,
    donor: Literal["instruct", "thinking"] = "thinking",
    dtype: MergeDtype = "auto",
    overwrite: bool = False,
    allow_nonfinite: bool = False,
    progress: Progress | None = None,
    **parameters: float | None,
) -> Manifest:
    """Write one merged checkpoint: W(λ) = λ · Thinking + (1 − λ) · Instruct.

    The directory appears complete or not at all. Memory stays at some MiB for each thread.

    Args:
        instruct: the Instruct side.
        thinking: the Thinking side.
        lambda_: from 0 (Instruct) to 1 (Thinking); ``None`` where the method takes none.
        out: the directory to write.
        layers: those that are mixed, such as ``"12-35"`` or ``"0-11,24-35"``.
        modules: the module kinds that are mixed, such as ``("attention", "ffn")``.
        outside: whose weights the rest keeps.
        rules: parts with a λ of their own; the last that covers a tensor wins.
        method: the merge method.
        base: the base model, for methods that need one.
        donor: whose config, tokenizer and chat template are taken.
        dtype: of the result; ``"auto"`` is that of the sources.
        overwrite: replace an earlier merge; never a directory with files of another origin.
        allow_nonfinite: write NaN and Inf values, and name their tensors in the manifest.
        progress: told the bytes done and the bytes in all, about ten times a second.
        parameters: of the method, such as ``scale`` and ``density``.

    Returns:
        What was written, with the hashes of sources and files.

    Raises:
        RecipeError: λ, scope, method and parameters do not belong together.
        CheckpointError: a checkpoint cannot be read, the pair does not fit, or ``out`` cannot be
            written.
    """
    scope: dict[str, object] = {"layers": layers, "outside": outside}
    if modules != "all":
        scope["modules"] = tuple(modules)
    fields: dict[str, object] = {"lambda": lambda_, "scope": scope, "rules": tuple(rules)}
    given = {name: value for name, value in parameters.items() if value is not None}
    try:
        recipe = Recipe.model_validate({**fields, "method": method, **given})
        pair = Pair(
            instruct=str(instruct),
            thinking=str(thinking),
            base=str(base) if base else None,
            donor=donor,
        )
    except ValidationError as error:
        said = explain(error.errors()).removeprefix("preset: ")
        raise RecipeError(f"merge: {said}") from error
    return write.merge(
        recipe,
        pair,
        Path(out),
        dtype=dtype,
        progress=progress,
        overwrite=overwrite,
        allow_nonfinite=allow_nonfinite,
    )
