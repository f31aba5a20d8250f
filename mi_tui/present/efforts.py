"""The efforts of a server with λ per request as a table: λ, what was measured, the names.

At most 68 characters wide, as a dialog has room for.
"""

from collections.abc import Mapping

from mi_tui.plan.serve import MeasuredCurve, MeasuredPoint

DEFAULT = "default"
"""What stands for the λ of requests that name none, among the names of efforts."""


def effort_lines(
    default: float, efforts: Mapping[str, float], measured: MeasuredCurve | None
) -> list[str]:
    """A heading, and a line for each λ from low to high.

    Args:
        default: the λ of requests that name none.
        efforts: λ by name.
        measured: what a study measured; ``None`` where nothing was.
    """
    of_lambda: dict[float, list[str]] = {}
    for effort, lambda_ in efforts.items():
        of_lambda.setdefault(lambda_, []).append(effort)
    of_lambda.setdefault(default, []).append(DEFAULT)
    lines = [f"{'λ':<6}{'score':<21}{'tokens':<24}of"]
    for lambda_, names in sorted(of_lambda.items()):
        score, tokens = _measured(None if measured is None else measured.at(lambda_))
        lines.append(f"{lambda_:<6g}{score:<21}{tokens:<24}{', '.join(names)}")
    return lines


def _measured(point: MeasuredPoint | None) -> tuple[str, str]:
    if point is None:
        return "not measured", ""
    score = f"{point.score:.3f} ({point.score_low:.3f}–{point.score_high:.3f})"
    ends = f"{_tokens(point.tokens_low)}–{_tokens(point.tokens_high)}"
    return score, f"{_tokens(point.tokens)} ({ends})"


def _tokens(count: float) -> str:
    return f"{count:.1f}" if count < 1000 else f"{count:,.0f}"
