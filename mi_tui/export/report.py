"""The report of a study: one HTML file with the answer, the plots and every number behind them."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from mi_tui import __version__
from mi_tui.analysis.results import Estimate, RecipeSummary, Recommendation
from mi_tui.export.plot import Plot, Series
from mi_tui.study.view import StudyView


def report_html(view: StudyView, answer: Recommendation, examples: dict[str, str]) -> str:
    """The report as one self-contained HTML text; no script, nothing loaded from elsewhere.

    Args:
        view: the study.
        answer: the recommendation the report is about.
        examples: each probe's first prompt as the model sees it.
    """
    environment = Environment(
        loader=PackageLoader("mi_tui.export", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(share=_share, count=_count, time=_time)
    rows = sorted(view.measured, key=lambda row: (row.recipe.lambda_ or 0.0, row.recipe.label))
    return environment.get_template("report.html").render(
        version=__version__,
        view=view,
        answer=answer,
        rows=rows,
        examples=examples,
        plots=_plots(rows, answer),
    )


def _plots(rows: list[RecipeSummary], answer: Recommendation) -> list[Plot]:
    swept = [
        row
        for row in rows
        if row.recipe.scope == answer.recipe.scope and row.recipe.merge_method.is_linear
    ]
    lambdas = [row.recipe.lambda_ or 0.0 for row in swept]
    chosen = ((answer.lambda_, f"λ = {answer.lambda_:g}"),)
    curve = answer.curve
    tokens_limit = (
        ((answer.budget.limit, answer.budget.spec),)
        if answer.budget.axis == "tokens" and answer.budget.limit
        else ()
    )
    return [
        Plot(
            "Score and think ratio over λ",
            "λ",
            "share",
            (
                Series("score", "score", curve.lambdas, curve.score),
                Series("Mean@k", "score", lambdas, [row.score for row in swept], points=True),
                Series("think ratio", "think", curve.lambdas, curve.think_ratio),
                Series(
                    "Think #R", "think", lambdas, [row.think_ratio for row in swept], points=True
                ),
            ),
            top=1.0,
            right=1.0,
            percent=True,
            vertical=chosen,
        ),
        Plot(
            "Tokens over λ",
            "λ",
            "tokens",
            (
                Series("tokens", "tokens", curve.lambdas, curve.tokens),
                Series("Token #N", "tokens", lambdas, [row.tokens for row in swept], points=True),
            ),
            right=1.0,
            vertical=chosen,
            horizontal=tokens_limit,
        ),
        _front(rows, answer),
    ]


def _front(rows: list[RecipeSummary], answer: Recommendation) -> Plot:
    """Score against tokens: what each recipe buys for its length."""
    return Plot(
        "Score against tokens",
        "tokens per response",
        "score",
        (
            Series(
                "recipes",
                "score",
                [row.tokens.value for row in rows],
                [row.score for row in rows],
                points=True,
            ),
        ),
        top=1.0,
        percent=True,
        vertical=((answer.tokens.value, f"λ = {answer.lambda_:g}"),),
        marks=tuple((row.tokens.value, row.score.value, row.recipe.label) for row in rows),
    )


def _share(estimate: Estimate | None) -> str:
    """A share with its interval, in percent."""
    if estimate is None:
        return "–"
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f} – {100 * estimate.high:.1f})"


def _count(estimate: Estimate) -> str:
    """A number with its interval."""
    return f"{estimate.value:,.0f} ({estimate.low:,.0f} – {estimate.high:,.0f})"


def _time(estimate: Estimate | None) -> str:
    """Seconds with their interval."""
    if estimate is None:
        return "–"
    return f"{estimate.value:.2f} ({estimate.low:.2f} – {estimate.high:.2f})"
