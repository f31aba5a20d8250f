"""The command ``merge``: one merged checkpoint without a study, or the check of one."""

import math
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mi_tui.cli.method_options import complete_method, given_parameters
from mi_tui.cli.options import Json
from mi_tui.errors import MiTuiError, StoppedError
from mi_tui.startup import uncollected
from mi_tui.text.plurals import counted
from mi_tui.text.sizes import GIB, in_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mi_tui.checkpoints.merging.plan import MergePlan


class OutputDtype(StrEnum):
    """What ``--dtype`` takes."""

    AUTO = "auto"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


class PredictionLayers(StrEnum):
    """What ``--prediction-layers`` takes."""

    KEEP = "keep"
    DROP = "drop"


def merge(
    context: typer.Context,
    out: Annotated[Path | None, typer.Argument(help="Directory of the merged checkpoint.")] = None,
    instruct: Annotated[str | None, typer.Option("--instruct", help="The Instruct side.")] = None,
    thinking: Annotated[str | None, typer.Option("--thinking", help="The Thinking side.")] = None,
    lambda_: Annotated[
        float | None, typer.Option("--lambda", help="0 is Instruct, 1 is Thinking.")
    ] = None,
    layers: Annotated[str, typer.Option("--layers", help="all, 12-35 or 0-11,24-35.")] = "all",
    modules: Annotated[
        str,
        typer.Option(
            "--modules", help="all, or of attention,mixer,ffn,router,norms,embeddings,head,vision."
        ),
    ] = "all",
    outside: Annotated[
        str, typer.Option("--outside", help="Whose weights the rest keeps: instruct or thinking.")
    ] = "instruct",
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="How to merge: see below; --method NAME --help shows what one takes.",
            autocompletion=complete_method,
        ),
    ] = "interpolation",
    base: Annotated[
        str | None, typer.Option("--base", help="The base model, for methods that need it.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="PATH=WEIGHT, several times: a weighted sum of any number."),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            help='A λ of its own for a part, several times: "lambda=0.2 layers=0-11 modules=ffn".',
        ),
    ] = None,
    donor: Annotated[
        str | None,
        typer.Option(
            "--donor",
            help="Whose config, tokenizer and chat template are taken: instruct or thinking "
            "(the default); of a weighted sum the number of the checkpoint (the last).",
        ),
    ] = None,
    dtype: Annotated[
        OutputDtype, typer.Option("--dtype", help="Of the result; auto is that of the sources.")
    ] = OutputDtype.AUTO,
    prediction_layers: Annotated[
        PredictionLayers,
        typer.Option(
            "--prediction-layers",
            help="Layers that predict further tokens (mtp): keep the donor's, or drop them.",
        ),
    ] = PredictionLayers.KEEP,
    shard_gib: Annotated[float, typer.Option("--shard-gib", help="Size of a shard in GiB.")] = 4.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    allow_nonfinite: Annotated[
        bool, typer.Option("--allow-nonfinite", help="Write NaN and Inf values too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    verify: Annotated[
        Path | None, typer.Option("--verify", help="Check a merged checkpoint by its manifest.")
    ] = None,
    json_: Json = False,
) -> None:
    """Write one merged checkpoint, without a study."""
    if verify is not None:
        _verify(verify, json_)
        return
    if out is None:
        raise MiTuiError("merge needs a directory to write to: mi-tui merge … OUT")
    if not 0 < shard_gib < math.inf:
        raise MiTuiError(f"--shard-gib {shard_gib:g}: write a size above 0")
    shard_bytes = max(1, int(shard_gib * GIB))
    parameters = given_parameters(context)
    with _light_start(), _telling_of_a_stop(out):
        if model:
            of_a_pair = (instruct, thinking, base, lambda_, rule, parameters or None)
            scoped = (layers, modules, outside, method) != (
                "all",
                "all",
                "instruct",
                "interpolation",
            )
            if scoped or any(value not in (None, []) for value in of_a_pair):
                raise MiTuiError("--model is a weighted sum: it takes none of a pair's options")
            plan = _plan_sum(model, out, donor, dtype, shard_bytes, prediction_layers)
        elif not instruct or not thinking:
            raise MiTuiError("merge needs --instruct and --thinking, or --model several times")
        else:
            from mi_tui.api.merging import plan_of_merge
            from mi_tui.cli import merge_arguments

            plan = plan_of_merge(
                instruct,
                thinking,
                lambda_,
                out,
                layers=layers,
                modules=merge_arguments.modules(modules),
                outside=outside,
                rules=tuple(merge_arguments.rule(text) for text in rule or ()),
                method=method,
                base=base,
                donor=donor or "thinking",
                dtype=dtype.value,
                shard_bytes=shard_bytes,
                prediction_layers=prediction_layers.value,
                **parameters,
            )
        _carry_out(
            plan, overwrite=overwrite, allow_nonfinite=allow_nonfinite, dry_run=dry_run, json_=json_
        )


@contextmanager
def _light_start() -> "Iterator[None]":
    """Leave out what takes time before the first byte is written and is of no use to a merge.

    It multiplies no matrices (NumPy would start threads for that), has no plugins for pydantic
    (which looks through all installed packages for them), and makes no cyclic garbage.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with uncollected():
        yield


@contextmanager
def _telling_of_a_stop(out: Path) -> "Iterator[None]":
    """Make Ctrl-C an error that says what became of the directory that was to be written."""
    before = _identity(out)
    try:
        yield
    except KeyboardInterrupt:
        if _identity(out) == before:
            raise StoppedError(f"stopped: nothing was written to {out}") from None
        raise StoppedError(f"stopped, but {out} was complete already") from None


def _identity(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _plan_sum(
    models: list[str],
    out: Path,
    donor: str | None,
    dtype: OutputDtype,
    shard_bytes: int,
    prediction_layers: PredictionLayers,
) -> "MergePlan":
    from mi_tui.checkpoints.merging.plan import plan_weighted_sum
    from mi_tui.cli import merge_arguments

    weighted = merge_arguments.weighted(models)
    position = merge_arguments.position(donor, len(weighted))
    return plan_weighted_sum(
        weighted,
        out,
        donor=position,
        dtype=dtype.value,
        shard_bytes=shard_bytes,
        prediction_layers=prediction_layers.value,
    )


def _verify(directory: Path, json_: bool) -> None:
    from mi_tui.checkpoints.merging.manifest import verify
    from mi_tui.cli.console import print_json
    from mi_tui.cli.findings import print_findings
    from mi_tui.cli.progress import byte_progress

    with byte_progress("verifying") as progress:
        findings = verify(directory, progress=progress)
    if json_:
        print_json([asdict(finding) for finding in findings])
    else:
        print_findings(findings)
    if any(finding.level == "error" for finding in findings):
        raise MiTuiError(f"{directory} is not as it was written: merge it again")


def _carry_out(
    plan: "MergePlan", *, overwrite: bool, allow_nonfinite: bool, dry_run: bool, json_: bool
) -> None:
    import json

    from mi_tui.checkpoints.merging.write import carry_out
    from mi_tui.cli.console import print_json
    from mi_tui.cli.progress import byte_progress

    for line in _in_words(plan):
        print(line, file=sys.stderr)
    if dry_run:
        return
    with byte_progress("merging") as progress:
        manifest = carry_out(
            plan, progress=progress, overwrite=overwrite, allow_nonfinite=allow_nonfinite
        )
    if json_:
        print_json(json.loads(manifest.to_json()))
    else:
        print(plan.out)


def _in_words(plan: "MergePlan") -> list[str]:
    from mi_tui.checkpoints.merging.companions import companion_name

    sources = ", ".join(f"{source.role} {source.info.location}" for source in plan.sources)
    files = ", ".join(companion_name(file) for file in plan.companions)
    dropped = f"{counted(len(plan.left_out), 'tensor')} of layers that predict further tokens"
    return [
        f"{plan.title} from {sources}",
        *(str(rule) for rule in (plan.recipe.rules if plan.recipe else ())),
        f"{in_bytes(plan.output_bytes)} of weights to {plan.out} ({in_bytes(plan.disk_free)} free)",
        f"from the {plan.donor.role} side: {files}",
        *([f"left out, as asked: {dropped}"] if plan.left_out else []),
        *(f"{f.level}: {f.subject}: {f.message}" for f in plan.report.findings if f.level != "ok"),
    ]
