"""A task of lm-eval as a probe: its prompts, its filters and its metric, per response."""

import io
import json
import logging
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, model_validator

from mi_tui.errors import MiTuiError
from mi_tui.paths import expanded, is_file
from mi_tui.plan.probe import PROBE_KINDS, ProbePlan
from mi_tui.plan.remote_code import RemoteCode, digest_of, files_below, require_allowed
from mi_tui.probes import form_fields
from mi_tui.probes.errors import ProbeError, ScorerError, missing_extra
from mi_tui.probes.probe_kind import THINKS, YOURS, Kind
from mi_tui.probes.problem import Problem, Score, Scorer
from mi_tui.probes.text import shown_line

_YAML = (".yaml", ".yml")


class LmEvalProbe(ProbePlan):
    """A task of lm-eval, scored per response by its own filters and metric.

    ``task`` is a name that lm-eval knows, or else ``path`` is a task's YAML file. ``metric``
    picks one of the task's metrics, ``filter`` one of its filters; by default the first of each.
    """

    kind: Literal["lm-eval"]
    task: str | None = Field(default=None, min_length=1)
    path: str | None = Field(default=None, min_length=1)
    metric: str | None = None
    filter: str | None = None
    few_shot: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_source(self) -> "LmEvalProbe":
        if (self.task is None) == (self.path is None):
            raise ValueError("lm-eval needs either task, a name, or path, a YAML file")
        return self


@dataclass(frozen=True, slots=True)
class _TaskField(form_fields.Field):
    """One box for both sources: a name, or the path of a YAML file."""

    def text(self, plan: ProbePlan) -> str:
        """Whichever is set."""
        return str(getattr(plan, "task", None) or getattr(plan, "path", None) or "")

    def values(self, text: str) -> dict[str, Any]:
        """A YAML file is known by its suffix."""
        is_yaml = text.endswith(_YAML)
        return {"task": None if is_yaml else text or None, "path": text if is_yaml else None}


class LmEval(Kind[LmEvalProbe]):
    """A task of lm-eval, by name or YAML file."""

    name = "lm-eval"
    order = 41
    title = "lm-eval"
    group = YOURS
    about = "a task of lm-eval, by name or YAML file"
    plan = LmEvalProbe
    start = MappingProxyType({"task": "gsm8k", **THINKS})
    fields = (
        _TaskField("task", "Task", "or a .yaml file", wide=True),
        form_fields.Field("metric", "Metric", "empty: the task's first", empty_is_none=True),
        form_fields.Field("filter", "Filter", "empty: the task's first", empty_is_none=True),
        form_fields.Count(
            "few_shot", "Few-shot", "empty: the task's own", empty_is_none=True, least=0
        ),
    )
    scorer = "lm-eval"

    def draw(self, plan: LmEvalProbe) -> list[Problem]:
        """The task's documents; see :func:`lm_eval_problems`."""
        return lm_eval_problems(plan)

    def scorer_for(self, plan: LmEvalProbe) -> str:
        """The scorer with the task: its name, or the whole path of its file."""
        return f"{self.scorer}:{_reference(plan)}"

    def faults(self, plan: LmEvalProbe) -> tuple[str, ...]:
        """That the YAML file is not there; what it says is read when the study starts."""
        if plan.path is None or is_file(expanded(plan.path)):
            return ()
        return (f"cannot read {shown_line(plan.path)}: no such file",)

    def remote_code(self, plan: LmEvalProbe) -> RemoteCode | None:
        """A task of one's own file: its functions and templates are Python. lm-eval's are not."""
        return _code_of(_reference(plan))


PROBE_KINDS.register(LmEval())


def _code_of(reference: str) -> RemoteCode | None:
    """The code of a task's file: all YAML and Python beside it, which it may include."""
    if not reference.endswith(_YAML):
        return None
    path = Path(reference).resolve()
    beside = files_below(path.parent, (*_YAML, ".py"))
    names = tuple(file.relative_to(path.parent).as_posix() for file in beside)
    return RemoteCode(str(path), digest_of(beside, path.parent), names)


def lm_eval_problems(plan: LmEvalProbe) -> list[Problem]:
    """The task's documents as problems; few-shot examples become turns of the conversation.

    Raises:
        ProbeError: lm-eval is missing, there is no such task, its data cannot be loaded, or it
            is of a kind that cannot be judged from one generated response.
    """
    reference = _reference(plan)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        task = _build(plan, reference)
    choice = {"metric": plan.metric or _metrics(task)[0], "filter": plan.filter}
    return [_problem(plan.task or plan.path, task, instance, choice) for instance in task.instances]


def lm_eval_scorer(reference: str) -> Scorer:
    """Score a response as lm-eval does: stop strings, the task's filter, ``process_results``.

    Stop strings cut the answer, not the thinking before it.

    Args:
        reference: the name of a task, or the path of its YAML file.

    Raises:
        ScorerError: lm-eval is missing, or the task cannot be loaded.
    """
    task = load_task(reference)

    def score(problem: Problem, response: str) -> Score:
        for stop in problem.meta["until"]:
            response = response.split(stop)[0]
        filtered = _filtered(task, problem, response)
        metric = problem.meta["metric"]
        values = task.process_results(problem.meta["doc"], [filtered])
        if metric not in values:
            return Score(None, failure=f"metric {metric} is not among {', '.join(values)}")
        answer = filtered if isinstance(filtered, str) else json.dumps(filtered, default=str)
        return _as_score(metric, values[metric], answer)

    return score


def load_task(reference: str) -> Any:
    """The task of this name, or of this YAML file.

    Raises:
        ScorerError: lm-eval is missing, there is no such task, its data cannot be loaded, or it
            is a file whose code the user has not allowed.
    """
    try:
        require_allowed([_code_of(reference)])
    except MiTuiError as error:
        raise ScorerError(str(error)) from error
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise ScorerError(missing_extra(f"the lm-eval task {reference}")) from error
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    is_file = Path(reference).suffix in _YAML
    try:
        # Indexing the thousands of built-in tasks takes seconds; a file needs none of them.
        found = TaskManager(include_defaults=not is_file).load(reference)
    except KeyError as error:
        raise ScorerError(
            f"lm-eval has no task {reference}: see lm-eval ls tasks, or give a YAML file"
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ScorerError(f"the lm-eval task {reference} cannot be loaded: {reason}") from error
    tasks = list(found["tasks"].items())
    if len(tasks) != 1:
        names = ", ".join(name for name, _ in tasks[:8])
        raise ScorerError(f"{reference} is a group of lm-eval tasks: name one of {names}")
    return tasks[0][1]


def _build(plan: LmEvalProbe, reference: str) -> Any:
    """The task with its requests built, each with its chat messages as JSON for a prompt."""
    try:
        task = load_task(reference)
    except ScorerError as error:
        raise ProbeError(str(error)) from error
    _check(task, plan)
    if plan.few_shot is not None:
        task.set_config("num_fewshot", plan.few_shot)
    task.set_fewshot_seed(plan.seed)
    task.build_all_requests(
        rank=0,
        world_size=1,
        apply_chat_template=True,
        fewshot_as_multiturn=True,
        chat_template=lambda messages, **_: json.dumps(messages),
    )
    return task


def _reference(plan: LmEvalProbe) -> str:
    if plan.path is None and not str(plan.task).endswith(_YAML):
        return str(plan.task)
    path = expanded(plan.path or str(plan.task))
    if path.suffix not in _YAML or not is_file(path):
        raise ProbeError(f"there is no file {path}: give the YAML file of an lm-eval task")
    return str(path.resolve())


def _check(task: Any, plan: LmEvalProbe) -> None:
    name = plan.task or plan.path
    if task.OUTPUT_TYPE != "generate_until":
        raise ProbeError(
            f"lm-eval task {name} compares likelihoods ({task.OUTPUT_TYPE}): "
            "choose a task that generates (output_type: generate_until)"
        )
    if getattr(task, "UNSAFE_CODE", False):
        raise ProbeError(f"lm-eval task {name} runs code that the model writes: not supported")
    if getattr(task, "MULTIMODAL", False):
        raise ProbeError(f"lm-eval task {name} shows images or sound: not supported")
    metrics, filters = _metrics(task), [f.name for f in task._filters]
    if plan.metric is not None and plan.metric not in metrics:
        raise ProbeError(f"{name} has no metric {plan.metric}: use {', '.join(metrics)}")
    if plan.filter is not None and plan.filter not in filters:
        raise ProbeError(f"{name} has no filter {plan.filter}: use {', '.join(filters)}")
    metric = plan.metric or metrics[0]
    if task.higher_is_better().get(metric) is False:
        raise ProbeError(f"{name}: lower {metric} is better; choose another metric")


def _metrics(task: Any) -> list[str]:
    return list(task._metric_fn_list)


def _problem(name: str | None, task: Any, instance: Any, choice: dict[str, Any]) -> Problem:
    where = f"lm-eval task {name}, document {instance.doc_id}"
    prompt, arguments = instance.args[:2]
    messages = json.loads(prompt)
    if messages[-1]["role"] != "user":
        raise ProbeError(f"{where}: it begins the answer for the model (gen_prefix): not supported")
    until = arguments.get("until") or []
    try:
        doc = json.loads(json.dumps(dict(instance.doc)))
    except (TypeError, ValueError) as error:
        raise ProbeError(f"{where}: it cannot be kept as JSON: {error}") from error
    return Problem(
        id=f"{instance.doc_id:05d}",
        messages=tuple({"role": m["role"], "content": m["content"]} for m in messages),
        answer=str(task.doc_to_target(instance.doc)),
        meta={"doc": doc, "until": [until] if isinstance(until, str) else until, **choice},
    )


def _filtered(task: Any, problem: Problem, response: str) -> Any:
    from lm_eval.api.instance import Instance

    ensembles = {ensemble.name: ensemble for ensemble in task._filters}
    ensemble = ensembles.get(problem.meta["filter"]) or task._filters[0]
    instance = Instance("generate_until", problem.meta["doc"], ("", {}), 0, resps=[response])
    ensemble.apply([instance])
    return instance.filtered_resps[ensemble.name]


def _as_score(metric: str, value: Any, answer: str) -> Score:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return Score(None, answer, f"metric {metric} has no value for one response")
    if not 0.0 <= number <= 1.0:
        return Score(None, answer, f"metric {metric} is {number:g}, not from 0 to 1")
    return Score(number, answer)
