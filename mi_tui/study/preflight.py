"""The preflight: whether a study can run, before anything is downloaded, loaded or started."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mi_tui.checkpoints.checks.compare import compare, settings_finding
from mi_tui.checkpoints.checks.config_settings import differences
from mi_tui.checkpoints.checks.equal_tensors import equal_tensors
from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect, require_layers
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.choice import EngineChoice, choose_engine
from mi_tui.engines.transformers.load_report import LoadReport, engine_words, load_reports
from mi_tui.machine.host import free_disk
from mi_tui.machine.resources import Machine, usable_machine
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import LambdaRule
from mi_tui.study.bounds import require_bounds
from mi_tui.study.remote_code import require_consent
from mi_tui.study.storage.errors import StudyError
from mi_tui.text.sizes import in_bytes

ENGINE = "engine"
"""What the finding is about that says how a pair is run."""

CHOICE = "engine choice"
"""What the finding is about that says which engine it is, and why."""

_IN_PLACE = "in place: "
_UNLESS_EQUAL = "; in one pass should both sides be equal there, which their weights will tell"


def require_fit(preset: Preset) -> EngineChoice:
    """Check a preset's pair and scopes, from headers and JSON alone.

    Returns:
        The engine that is to run it, and the plan of its memory.

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
    cap = preset.longest_cap
    choice = engine_choice(preset.engine, *infos[:2], cap=cap)
    if not all(info.location.has_weights for info in infos):
        # Weights on this machine are loaded in a moment, and transformers then says the same.
        sides = dict(zip(("instruct", "thinking", "base"), infos, strict=False))
        found = loading_findings(sides, trust_remote_code=pair.trust_remote_code, plan=choice.plan)
        wrong = [finding for finding in found if finding.level == "error"]
        _require_pair(wrong, pair.instruct, pair.thinking)
        _require_engine(found, pair.instruct, pair.thinking)
        if reason := in_place_reason(found):
            choice = engine_choice(choice.plan, *infos[:2], cap=cap, in_place=reason)
    if choice.memory.problem:
        raise StudyError(choice.memory.problem)
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
    return choice


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


def in_place_reason(findings: Iterable[Finding]) -> str:
    """Why findings say that transformers cannot run the pair in one pass; empty where it can."""
    said = (one.message for one in findings if one.subject == ENGINE)
    return next((words.partition(": ")[2] for words in said if words.startswith(_IN_PLACE)), "")


def _engine(pair: Sequence[LoadReport], plan: EnginePlan, here: bool) -> Iterator[Finding]:
    """How the transformers engine runs the pair: by the side that allows it less.

    ``here``: whether the weights are, so that it is known which are equal on both sides.
    """
    said = [report for report in pair if report.engine]
    worst = max(said, key=lambda one: (bool(one.problem), bool(one.no_one_pass)), default=None)
    if worst is None or plan.kind == "vllm":
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


def engine_choice(
    plan: EnginePlan,
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    *,
    cap: int | None = None,
    in_place: str = "",
    machine: Machine | None = None,
) -> EngineChoice:
    """The engine that runs a pair on this machine, and the plan of its memory.

    Args:
        plan: the engine section of a preset.
        instruct: one side, of which the headers suffice.
        thinking: the other.
        cap: tokens of the longest response, where they are known.
        in_place: why the pair cannot be run in one pass (see :func:`in_place_reason`), which then
            takes no memory.
        machine: what is free; by default this machine, as the torch installed here can use it.
    """
    return choose_engine(
        plan, instruct, thinking, machine or usable_machine(), cap=cap, in_place=in_place
    )


def engine_for(preset: Preset) -> EngineChoice:
    """The engine that runs a preset on this machine, from headers alone.

    Raises:
        CheckpointError: a checkpoint of the pair cannot be found or read.
    """
    pair = (preset.pair.instruct, preset.pair.thinking)
    sides = [inspect(locate(side, weights=False)) for side in pair]
    return engine_choice(preset.engine, *sides, cap=preset.longest_cap)


def fit_findings(
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    plan: EnginePlan | None = None,
    machine: Machine | None = None,
    out: Path | None = None,
    *,
    choice: EngineChoice | None = None,
) -> tuple[Finding, ...]:
    """What the engine will do with a pair on this machine, and whether a merge fits its disk.

    Args:
        instruct: one side, of which the headers suffice.
        thinking: the other.
        plan: the engine section of a preset; by default that of one that says nothing.
        machine: what is free; by default this machine, as the torch installed here can use it.
        out: where a merge would be written; the working directory unless given.
        choice: the engine, where it is chosen already.
    """
    machine = machine or usable_machine()
    choice = choice or engine_choice(plan or EnginePlan(), instruct, thinking, machine=machine)
    found = choice.memory
    well = found.fits and found.as_asked and not found.idle and not machine.gpu_problem
    words = f"{found.sentence}; {_what_there_is(machine)}"
    memory = Finding("ok" if well else "warning", "memory", words)
    needed, free = max(instruct.nbytes, thinking.nbytes), free_disk(out or Path())
    text = f"a merged checkpoint takes {in_bytes(needed)}; {in_bytes(free)} free"
    disk = Finding("ok" if needed <= free else "warning", "disk", text)
    return (memory, disk, Finding("ok", CHOICE, choice.sentence))


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
