"""The preflight: whether a study can run, before anything is downloaded, loaded or started."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mi_tui.checkpoints.checks.compare import compare, settings_finding
from mi_tui.checkpoints.checks.config_settings import differences
from mi_tui.checkpoints.checks.equal_tensors import equal_tensors
from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect, require_layers
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.memory_fit import fit, usable
from mi_tui.engines.transformers.load_report import LoadReport, engine_words, load_reports
from mi_tui.machine.host import free_disk
from mi_tui.machine.resources import Machine, this_machine
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import LambdaRule
from mi_tui.study.bounds import require_bounds
from mi_tui.study.remote_code import require_consent
from mi_tui.study.storage.errors import StudyError
from mi_tui.text.sizes import in_bytes

ENGINE = "engine"
"""What the finding is about that says how a pair is run."""

_UNLESS_EQUAL = "; in one pass should both sides be equal there, which their weights will tell"


def require_fit(preset: Preset) -> None:
    """Check a preset's pair and scopes, from headers and JSON alone.

    Raises:
        RemoteCodeError: it would run code that the user has not allowed.
        StudyError: it asks for more than makes sense or this machine can do, or the pair cannot
            be mixed; the message names the first reason.
        CheckpointError: a checkpoint cannot be found or read, or a scope names layers that
            the pair does not have.
    """
    require_bounds(preset)
    require_consent(preset)
    pair = preset.pair
    references = [pair.instruct, pair.thinking, *([pair.base] if pair.base else [])]
    infos = [inspect(locate(reference, weights=False)) for reference in references]
    errors = compare(*infos, trust_remote_code=pair.trust_remote_code).errors
    _require_pair(errors, pair.instruct, pair.thinking)
    if not all(info.location.has_weights for info in infos):
        # Weights on this machine are loaded in a moment, and transformers then says the same.
        sides = dict(zip(("instruct", "thinking", "base"), infos, strict=False))
        found = loading_findings(
            sides, trust_remote_code=pair.trust_remote_code, plan=preset.engine
        )
        wrong = [finding for finding in found if finding.level == "error"]
        _require_pair(wrong, pair.instruct, pair.thinking)
        _require_engine(found, pair.instruct, pair.thinking)
    groups = tuple(LambdaRule(lambda_=1.0, layers=part) for part in preset.search.layer_groups)
    grouped = preset.recipe(1.0).model_copy(update={"rules": groups})
    for recipe in preset.recipes:
        if recipe.merge_method.needs_base and pair.of(recipe).base is None:
            raise StudyError(f"{recipe.label} needs a base model: name one as base in the pair")
    for recipe in (grouped, *preset.recipes):
        require_layers(recipe, infos[1])
    named = {recipe.backbone or recipe.base for recipe in preset.recipes} - {None, *references}
    for reference in sorted(name for name in named if name):
        other = inspect(locate(reference, weights=False))
        _require_pair(compare(other, infos[1]).errors, reference, pair.thinking)


def loading_findings(
    sides: Mapping[str, CheckpointInfo],
    *,
    trust_remote_code: bool = False,
    plan: EnginePlan | None = None,
) -> tuple[Finding, ...]:
    """How transformers loads each side, from headers alone; takes some seconds.

    A tensor that would be random, that no module takes or that has another shape than the config
    implies is an error. Settings of the first two sides that differ only once every default is
    written out are a warning. One finding says how the transformers engine runs the pair.

    Args:
        sides: the checkpoints by what they are called, Instruct and Thinking first.
        trust_remote_code: whether Python code of a checkpoint is wanted, in a process of its own;
            it runs where the user has allowed it.
        plan: the engine section of a preset; by default that of one that says nothing.
    """
    usable = {
        name: info
        for name, info in sides.items()
        if not info.problems and info.quantisation is None and info.tensors
    }
    if not usable:
        return ()
    pair = list(usable.values())[:2]
    reports = load_reports(
        list(usable.values()),
        trust_remote_code=trust_remote_code,
        equal=equal_tensors(*pair) if len(pair) == 2 else (),
    )
    found = dict(zip(usable, reports, strict=True))
    findings = [_loading(name, report) for name, report in found.items()]
    here = all(info.location.has_weights for info in pair)
    engine = _engine(list(found.values())[:2], plan or EnginePlan(), here)
    return (*findings, *_hidden_differences(usable, found), *engine)


def runs_in_place(findings: Iterable[Finding]) -> bool:
    """Whether findings say that the engine cannot run the pair in one pass."""
    return any(one.subject == ENGINE and one.message.startswith("in place") for one in findings)


def _engine(pair: Sequence[LoadReport], plan: EnginePlan, here: bool) -> Iterator[Finding]:
    """How the transformers engine runs the pair: by the side that allows it less.

    ``here``: whether the weights are, so that it is known which are equal on both sides.
    """
    said = [report for report in pair if report.engine]
    worst = max(said, key=lambda one: (bool(one.problem), bool(one.no_one_pass)), default=None)
    if worst is None or plan.kind != "transformers":
        return
    if plan.mode == "in-place" and not worst.problem:
        yield Finding("ok", ENGINE, engine_words("as asked", worst.no_slots))
    else:
        unless = "" if here or worst.problem or not worst.no_one_pass else _UNLESS_EQUAL
        yield Finding("warning" if worst.problem else "ok", ENGINE, worst.engine + unless)


def _loading(name: str, report: LoadReport) -> Finding:
    subject = f"{name} in transformers"
    if report.unknown:
        return Finding("warning", subject, f"not checked: {report.unknown}")
    if report.problem:
        return Finding("warning", subject, f"can be merged, not studied: {report.problem}")
    wrong = [
        f"{words} {_listed(names)}"
        for words, names in (
            ("no weights for", report.missing),
            ("no place for", report.unexpected),
            ("another shape:", report.mismatched),
        )
        if names
    ]
    if wrong:
        return Finding("error", subject, f"{report.model_class} finds {'; '.join(wrong)}")
    return Finding("ok", subject, f"{report.model_class} finds every tensor")


def _hidden_differences(
    sides: Mapping[str, CheckpointInfo], reports: Mapping[str, LoadReport]
) -> Iterator[Finding]:
    """Settings that differ by a default that one config.json leaves out."""
    names = [name for name, report in reports.items() if report.settings][:2]
    if len(names) == 2:
        one, two = names
        said = {d.key for d in differences(sides[one].config, sides[two].config)}
        found = differences(reports[one].settings, reports[two].settings)
        if hidden := [difference for difference in found if difference.key not in said]:
            yield settings_finding(hidden, one, two)


def _listed(names: Sequence[str]) -> str:
    few = ", ".join(names[:2])
    return few if len(names) <= 2 else f"{few} and {len(names) - 2} more"


def fit_findings(
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    plan: EnginePlan | None = None,
    machine: Machine | None = None,
    out: Path | None = None,
    *,
    in_place: bool = False,
) -> tuple[Finding, ...]:
    """What the engine will do with a pair on this machine, and whether a merge fits its disk.

    Args:
        instruct: one side, of which the headers suffice.
        thinking: the other.
        plan: the engine section of a preset; by default that of one that says nothing.
        machine: what is free; by default this machine, as the torch installed here can use it.
        out: where a merge would be written; the working directory unless given.
        in_place: whether the pair cannot be run in one pass (see :func:`runs_in_place`), which
            then takes no memory.
    """
    plan = plan or EnginePlan()
    if in_place and plan.kind == "transformers":
        plan = plan.model_copy(update={"mode": "in-place"})
    machine = machine or usable(this_machine(), _torch_version())
    found = fit(plan, instruct, thinking, machine)
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


def _require_engine(findings: Iterable[Finding], first: str, second: str) -> None:
    for finding in findings:
        if finding.subject == ENGINE and finding.level != "ok":
            raise StudyError(f"{first} and {second} cannot be studied: {finding.message}")


def _require_pair(errors: Sequence[Finding], first: str, second: str) -> None:
    if errors:
        more = f" (and {len(errors) - 1} more: mi-tui check)" if len(errors) > 1 else ""
        raise StudyError(
            f"{first} and {second} cannot be mixed: {errors[0].subject}: {errors[0].message}{more}"
        )
