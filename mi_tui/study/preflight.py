"""Refuse a pair that cannot be mixed before anything is downloaded, loaded or started."""

from mi_tui.checkpoints.compare import PairReport, compare
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.plan.preset import Pair
from mi_tui.study.errors import StudyError


def pair_report(pair: Pair) -> PairReport:
    """What fits and what differs between a pair's checkpoints, from headers and JSON alone.

    Raises:
        CheckpointError: a checkpoint cannot be found or read.
    """
    references = [pair.instruct, pair.thinking, *([pair.base] if pair.base else [])]
    infos = [inspect(locate(reference, weights=False)) for reference in references]
    return compare(*infos, trust_remote_code=pair.trust_remote_code)


def require_fit(pair: Pair) -> None:
    """Check a pair.

    Raises:
        StudyError: the pair cannot be mixed; the message names the first reason.
        CheckpointError: a checkpoint cannot be found or read.
    """
    errors = pair_report(pair).errors
    if errors:
        more = f" (and {len(errors) - 1} more: mi-tui check)" if len(errors) > 1 else ""
        raise StudyError(
            f"{pair.instruct} and {pair.thinking} cannot be mixed: "
            f"{errors[0].subject}: {errors[0].message}{more}"
        )
