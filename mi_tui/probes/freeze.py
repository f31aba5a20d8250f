"""Turn a probe's plan into the frozen list of problems that a study asks."""

from collections.abc import Callable
from typing import Any

from mi_tui.errors import MiTuiError
from mi_tui.plan.probe import AnyProbe, ArithmeticProbe
from mi_tui.probes.arithmetic import held_out_chains
from mi_tui.probes.problem import Probe, Problem
from mi_tui.probes.split import split


class ProbeError(MiTuiError):
    """A probe whose problems cannot be drawn or read."""


def freeze(plan: AnyProbe) -> Probe:
    """Draw the problems, split them into search and held-out parts, and fix their scorer.

    The same plan (and, for a probe that reads one, the same file or data set) gives the same
    probe and so the same hash.

    Raises:
        ProbeError: the source cannot be read, is not in its schema, or yields no problem.
    """
    scorer, problems = _SOURCES[type(plan)](plan)
    return Probe(
        name=plan.name or plan.kind,
        scorer=scorer,
        problems=split(problems, plan.held_out, plan.seed),
        max_new_tokens=plan.max_new_tokens,
        weight=plan.weight,
    )


def _arithmetic(plan: ArithmeticProbe) -> tuple[str, list[Problem]]:
    chains = held_out_chains(plan.seed, plan.problems, plan.operations)
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


_SOURCES: dict[type, Callable[[Any], tuple[str, list[Problem]]]] = {
    ArithmeticProbe: _arithmetic,
}
