"""Tasks of lm-eval as probes: prompts, filters and metric, per response."""

import io
import json
import logging
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from mi_tui.paths import expanded, is_file
from mi_tui.plan.probe import LmEvalProbe
from mi_tui.probes.errors import ProbeError, ScorerError, missing_extra
from mi_tui.probes.problem import Problem, Score, Scorer

SCORER = "lm-eval"

_YAML = (".yaml", ".yml")


def lm_eval_problems(plan: LmEvalProbe) -> tuple[str, list[Problem]]:
    """The name of the scorer, which carries the task, and the task's documents as problems.

    Few-shot examples become turns of the conversation.

    Raises:
        ProbeError: lm-eval is missing, there is no such task, its data cannot be loaded, or it
            is of a kind that cannot be judged from one generated response.
    """
    reference = _reference(plan)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        task = _build(plan, reference)
    choice = {"metric": plan.metric or _metrics(task)[0], "filter": plan.filter}
    problems = [
        _problem(plan.task or plan.path, task, instance, choice) for instance in task.instances
    ]
    return f"{SCORER}:{reference}", problems


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
            return Score(0.0, failure=f"metric {metric} is not among {', '.join(values)}")
        answer = filtered if isinstance(filtered, str) else json.dumps(filtered, default=str)
        return _as_score(metric, values[metric], answer)

    return score


def load_task(reference: str) -> Any:
    """The task of this name, or of this YAML file.

    Raises:
        ScorerError: lm-eval is missing, there is no such task, or its data cannot be loaded.
    """
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
    if plan.path is None:
        return str(plan.task)
    path = expanded(plan.path)
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
        return Score(0.0, answer, f"metric {metric} has no value for one response")
    if not 0.0 <= number <= 1.0:
        return Score(0.0, answer, f"metric {metric} is {number:g}, not from 0 to 1")
    return Score(number, answer)
