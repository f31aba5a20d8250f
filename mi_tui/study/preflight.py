"""The preflight: whether a study can run, before anything is downloaded, loaded or started."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mi_tui.checkpoints.compare import Finding, compare
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect, require_layers
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.fit import fit, usable
from mi_tui.machine.account import Machine, this_machine
from mi_tui.machine.host import free_disk
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import LambdaRule
from mi_tui.sizes import in_bytes
from mi_tui.study.storage.errors import StudyError


def require_fit(preset: Preset) -> None:
    """Check a preset's pair and scopes, from headers and JSON alone.

    Raises:
        StudyError: the pair cannot be mixed; the message names the first reason.
        CheckpointError: a checkpoint cannot be found or read, or a scope names layers that
            the pair does not have.
    """
    pair = preset.pair
    references = [pair.instruct, pair.thinking, *([pair.base] if pair.base else [])]
    infos = [inspect(locate(reference, weights=False)) for reference in references]
    errors = compare(*infos, trust_remote_code=pair.trust_remote_code).errors
    _require_pair(errors, pair.instruct, pair.thinking)
    groups = tuple(LambdaRule(lambda_=1.0, layers=part) for part in preset.search.layer_groups)
    grouped = preset.recipe(1.0).model_copy(update={"rules": groups})
    for recipe in (grouped, *preset.recipes):
        require_layers(recipe, infos[1])
    named = {recipe.backbone or recipe.base for recipe in preset.recipes} - {None, *references}
    for reference in sorted(name for name in named if name):
        other = inspect(locate(reference, weights=False))
        _require_pair(compare(other, infos[1]).errors, reference, pair.thinking)


def fit_findings(
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    plan: EnginePlan | None = None,
    machine: Machine | None = None,
    out: Path | None = None,
) -> tuple[Finding, ...]:
    """What the engine will do with a pair on this machine, and whether a merge fits its disk.

    Args:
        instruct: one side, of which the headers suffice.
        thinking: the other.
        plan: the engine section of a preset; by default that of one that says nothing.
        machine: what is free; by default this machine, as the torch installed here can use it.
        out: where a merge would be written; the working directory unless given.
    """
    machine = machine or usable(this_machine(), _torch_version())
    found = fit(plan or EnginePlan(), instruct, thinking, machine)
    memory = Finding(
        "ok" if found.fits and found.as_asked and not machine.gpu_problem else "warning",
        "memory",
        f"{found.words}; {_what_there_is(machine)}",
    )
    needed, free = max(instruct.nbytes, thinking.nbytes), free_disk(out or Path())
    text = f"a merged checkpoint takes {in_bytes(needed)}; {in_bytes(free)} free"
    return (memory, Finding("ok" if needed <= free else "warning", "disk", text))


def _torch_version() -> str | None:
    """The version of the torch that is installed, which is not imported for that."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return None


def _what_there_is(machine: Machine) -> str:
    if not machine.gpus:
        found = machine.gpu_problem or "no GPU found"
        return f"{found}, {in_bytes(machine.memory_free)} of main memory free"
    first, count = machine.gpus[0], len(machine.gpus)
    if first.unified:
        return f"{count} × {first.name}, {in_bytes(machine.memory_free)} of shared memory free"
    problem = f" ({machine.gpu_problem})" if machine.gpu_problem else ""
    free = sum(gpu.free for gpu in machine.gpus)
    return f"{count} × {first.name}, {in_bytes(free)} free{problem}"


def _require_pair(errors: Sequence[Finding], first: str, second: str) -> None:
    if errors:
        more = f" (and {len(errors) - 1} more: mi-tui check)" if len(errors) > 1 else ""
        raise StudyError(
            f"{first} and {second} cannot be mixed: {errors[0].subject}: {errors[0].message}{more}"
        )
