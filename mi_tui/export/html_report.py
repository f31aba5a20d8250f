"""The report of a study: one HTML file with the answer, the plots and every number behind them."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from mi_tui import __version__
from mi_tui.analysis.results import RecipeSummary, Recommendation
from mi_tui.export.plot import Plot, Series
from mi_tui.present import numbers
from mi_tui.present.columns import of_section, result_lines
from mi_tui.present.table import Section
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
    environment.filters.update(
        share=numbers.percent_range,
        percent=numbers.percent,
        tokens=numbers.token_range,
        time=numbers.seconds_range,
        number=numbers.lambda_,
    )
    lines = result_lines(view.measured, answer.row_key)
    rows = [line.row for line in lines]
    return environment.get_template("report.html").render(
        version=__version__,
        view=view,
        answer=answer,
        lines=lines,
        sections={section: of_section(section) for section in Section},
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
    chosen = ((answer.lambda_, f"λ = {numbers.lambda_(answer.lambda_)}"),)
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
        vertical=((answer.tokens.value, f"λ = {numbers.lambda_(answer.lambda_)}"),),
        marks=tuple((row.tokens.value, row.score.value, row.recipe.label) for row in rows),
    )
