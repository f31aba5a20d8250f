"""Frozen probes: a plan's problems, drawn, split and hashed."""

from collections.abc import Iterable

from pydantic import ValidationError

from mi_tui.plan.probe import AnyProbe
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.probe_kind import kind_of
from mi_tui.probes.problem import Probe
from mi_tui.probes.split import sample, split

__all__ = ["ProbeError", "freeze", "require_sources"]


def require_sources(plans: Iterable[AnyProbe]) -> None:
    """Check the files of probes; what would be downloaded is not looked at.

    Raises:
        ProbeError: a file cannot be read or has bad records; the message has the first ones.
    """
    for plan in plans:
        if faults := kind_of(plan.kind).faults(plan):
            raise ProbeError("; ".join(faults))


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
    kind = kind_of(plan.kind)
    problems = kind.draw(plan)
    if not problems:
        raise ProbeError(f"probe {plan.name or plan.kind} has no problems")
    if plan.problems is not None:
        problems = sample(problems, plan.problems, plan.seed)
    return Probe(
        name=plan.name or plan.kind,
        scorer=kind.scorer_for(plan),
        problems=split(problems, plan.held_out, plan.seed),
        max_new_tokens=plan.max_new_tokens,
        weight=plan.weight,
    )
