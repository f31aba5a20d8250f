"""Frozen probes: the list of problems made from a probe's plan."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from mi_tui.plan.probe import (
    AimeProbe,
    AnyProbe,
    ArithmeticProbe,
    FileProbe,
    GpqaProbe,
    IfevalProbe,
    InstructionsProbe,
    LmEvalProbe,
    MultipleChoiceProbe,
    WordProblemsProbe,
)
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.kinds.arithmetic import held_out_chains
from mi_tui.probes.kinds.benchmarks import aime25, gpqa_diamond, ifeval
from mi_tui.probes.kinds.generated import draw
from mi_tui.probes.kinds.instructions import write_instructions
from mi_tui.probes.kinds.lm_eval_task import lm_eval_problems
from mi_tui.probes.kinds.multiple_choice import write_choice
from mi_tui.probes.kinds.user_file import read_problems
from mi_tui.probes.kinds.word_problems import write_word_problem
from mi_tui.probes.problem import Probe, Problem
from mi_tui.probes.split import sample, split

__all__ = ["ProbeError", "freeze"]


def freeze(plan: AnyProbe) -> Probe:
    """Draw the problems, split them into search and held-out parts, and fix their scorer.

    The same plan (and, for a probe that reads one, the same file or data set) gives the same
    probe and so the same hash.

    Raises:
        ProbeError: the source cannot be read, is not in its schema, or yields no problem.
    """
    try:
        # A copy made with model_copy has not been validated.
        plan = type(plan).model_validate(plan.model_dump())
    except ValidationError as error:
        raise ProbeError(f"probe {plan.name or plan.kind}: {error.errors()[0]['msg']}") from error
    scorer, problems = _SOURCES[type(plan)](plan)
    if not problems:
        raise ProbeError(f"probe {plan.name or plan.kind} has no problems")
    if plan.problems is not None:
        problems = sample(problems, plan.problems, plan.seed)
    return Probe(
        name=plan.name or plan.kind,
        scorer=scorer,
        problems=split(problems, plan.held_out, plan.seed),
        max_new_tokens=plan.max_new_tokens,
        weight=plan.weight,
    )


Source = tuple[str, list[Problem]]
"""The name of the scorer, and all problems that the plan can draw from."""


def _arithmetic(plan: ArithmeticProbe) -> Source:
    chains = held_out_chains(plan.seed, plan.count, plan.operations)
    problems = [
        Problem(
            id=f"{number:04d}",
            messages=({"role": "user", "content": chain.prompt},),
            answer=str(chain.answer),
            stratum=f"{len(chain.steps)} operations",
        )
        for number, chain in enumerate(chains, start=1)
    ]
    return "boxed-integer", problems


def _word_problems(plan: WordProblemsProbe) -> Source:
    return "boxed-integer", draw(
        plan.kind, plan.seed, plan.count, plan.difficulty, write_word_problem
    )


def _multiple_choice(plan: MultipleChoiceProbe) -> Source:
    return "choice", draw(plan.kind, plan.seed, plan.count, plan.difficulty, write_choice)


def _instructions(plan: InstructionsProbe) -> Source:
    problems = draw(plan.kind, plan.seed, plan.count, plan.difficulty, write_instructions)
    return "instructions", problems


_SOURCES: dict[type, Callable[[Any], Source]] = {
    ArithmeticProbe: _arithmetic,
    WordProblemsProbe: _word_problems,
    MultipleChoiceProbe: _multiple_choice,
    InstructionsProbe: _instructions,
    AimeProbe: lambda plan: ("math", aime25(plan)),
    IfevalProbe: lambda plan: ("ifeval", ifeval(plan)),
    GpqaProbe: lambda plan: ("choice", gpqa_diamond(plan)),
    FileProbe: lambda plan: (plan.scorer, read_problems(plan)),
    LmEvalProbe: lm_eval_problems,
}
