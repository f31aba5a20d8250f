"""The report of a study: one HTML file with the answer, the plots and every number behind them."""

import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mi_tui import __version__
from mi_tui.analysis.results import Curve, Estimate, RecipeSummary, Recommendation
from mi_tui.analysis.statistics.flips import Flip
from mi_tui.analysis.statistics.groups import GroupResults
from mi_tui.export.plot import Plot, Series
from mi_tui.present import comparison, numbers
from mi_tui.present.answer import limit_measured
from mi_tui.present.columns import (
    ResultLine,
    of_section,
    result_lines,
    spoken_parts,
    with_recommended,
)
from mi_tui.present.flips import FLIPPED, answers_in_words, group_name, note, problems_of
from mi_tui.present.groups import group_title
from mi_tui.present.heat_map import score_share, score_words
from mi_tui.present.table import Section
from mi_tui.probes.text import shown_line
from mi_tui.study.view import Breakdown, StudyView

MOST_FLIPPED = 200
"""Problems that the report lists at most; flips.csv has all."""

if TYPE_CHECKING:
    from mi_tui.analysis.ablation.result import AblationResult


def report_html(
    view: StudyView,
    answer: Recommendation,
    examples: dict[str, str],
    ablation: "AblationResult | None" = None,
    breakdown: Breakdown | None = None,
) -> str:
    """The report as one self-contained HTML text, which loads nothing from elsewhere.

    Its script only hovers, hides and sorts; the page's policy lets no other script run.

    Args:
        view: the study.
        answer: the recommendation the report is about.
        examples: each probe's first prompt as the model sees it.
        ablation: the paired table and the heat maps of an ablation.
        breakdown: the results by probe and stratum, and the problems that flip.
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
        measured=limit_measured,
        points=numbers.points_range,
        percent=numbers.percent,
        tokens=numbers.token_range,
        time=numbers.seconds_range,
        number=numbers.lambda_,
        order=lambda value: f"{-1.0 if math.isnan(value) else value:.6g}",
        group=group_name,
        answers=answers_in_words,
        line=shown_line,
    )
    lines = result_lines(with_recommended(view.measured, answer), answer.row_key)
    script = _text_of(environment, "report.js")
    apart = breakdown or Breakdown()
    return environment.get_template("report.html").render(
        version=__version__,
        view=view,
        answer=answer,
        lines=lines,
        sections={section: of_section(section) for section in Section},
        examples=examples,
        plots=_plots(lines, answer),
        ablation=ablation,
        groups=_groups(apart.groups, answer.row_key),
        flips=apart.flips,
        flipped=problems_of(apart.flips, FLIPPED)[:MOST_FLIPPED] if apart.flips else (),
        flip_words=list(Flip),
        flip_note=note(apart.flips) if apart.flips else "",
        paired_columns=comparison.COLUMNS,
        paired_lines=comparison.paired_lines(ablation.comparison) if ablation else (),
        cell_share=score_share,
        cell_words=score_words,
        style=_text_of(environment, "report.css"),
        script=script,
        script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
    )


def _groups(
    groups: Sequence[GroupResults], chosen: str | None
) -> list[tuple[str, list[ResultLine]]]:
    """Title and lines of each group; none where one group is all there is."""
    several = len(groups) > 1
    return [(group_title(one), result_lines(one.rows, chosen)) for one in groups if several]


def _text_of(environment: Environment, name: str) -> Markup:
    """A file of ours that stands in the page as it is."""
    loader = environment.loader
    assert loader is not None
    return Markup(loader.get_source(environment, name)[0])


def _tip(line: ResultLine) -> str:
    """What is said of a point: the recipe, and a line for each of its measures."""
    return "\n".join(spoken_parts(line))


def _at(curve: Curve, words: Callable[[int], str]) -> tuple[tuple[float, str], ...]:
    return tuple((at, f"λ {at:.2f}\n{words(place)}") for place, at in enumerate(curve.lambdas))


def _plots(lines: list[ResultLine], answer: Recommendation) -> list[Plot]:
    swept = [
        (number, line)
        for number, line in enumerate(lines)
        if line.row.rollouts
        and line.row.recipe.scope == answer.recipe.scope
        and line.row.recipe.merge_method.is_linear
        and line.row.recipe.thinking_cap is None
    ]
    lambdas = [line.row.recipe.lambda_ or 0.0 for _, line in swept]
    tips = [_tip(line) for _, line in swept]

    def measured(name: str, css: str, measure: Callable[[RecipeSummary], Estimate]) -> Series:
        values = [measure(line.row) for _, line in swept]
        rows = [number for number, _ in swept]
        return Series(name, css, lambdas, values, points=True, rows=rows, tips=tips)

    chosen = ((answer.lambda_, f"λ = {numbers.lambda_(answer.lambda_)}"),)
    curve = answer.curve
    tokens_limit = tuple(
        (limit.limit, limit.spec)
        for limit in answer.budget.limits
        if limit.axis == "tokens" and limit.probe is None
    )
    return [
        Plot(
            "Score and think ratio over λ",
            "λ",
            "share",
            (
                Series("score", "score", curve.lambdas, curve.score),
                measured("Mean@k", "score", lambda row: row.score),
                Series("think ratio", "think", curve.lambdas, curve.think_ratio),
                measured("Think #R", "think", lambda row: row.think_ratio),
            ),
            top=1.0,
            right=1.0,
            percent=True,
            vertical=chosen,
            hover=_at(curve, lambda place: _shares(curve, place)),
        ),
        Plot(
            "Tokens over λ",
            "λ",
            "tokens",
            (
                Series("tokens", "tokens", curve.lambdas, curve.tokens),
                measured("Token #N", "tokens", lambda row: row.tokens),
            ),
            right=1.0,
            vertical=chosen,
            horizontal=tokens_limit,
            hover=_at(curve, lambda place: f"{numbers.tokens(curve.tokens[place])} tokens"),
        ),
        _front(lines, answer),
    ]


def _shares(curve: Curve, place: int) -> str:
    score = numbers.percent_interval(curve.score[place])
    return f"score {score}\nthink ratio {numbers.percent_interval(curve.think_ratio[place])}"


def _front(lines: list[ResultLine], answer: Recommendation) -> Plot:
    """Score against tokens: what each recipe buys for its length."""
    # The recommended recipe and the ends have the first choice of a place for their labels.
    first = sorted(
        ((number, line) for number, line in enumerate(lines) if line.row.rollouts),
        key=lambda entry: (not entry[1].chosen, entry[1].row.recipe.lambda_ not in (0.0, 1.0)),
    )
    return Plot(
        "Score against tokens",
        "tokens per response",
        "score",
        tuple(
            Series(
                name,
                css,
                [line.row.tokens.value for _, line in mine],
                [line.row.score for _, line in mine],
                points=True,
                rows=[number for number, _ in mine],
                tips=[_tip(line) for _, line in mine],
                triangles=css == "capped",
            )
            for name, css, mine in (
                (
                    "recipes",
                    "score",
                    [one for one in first if one[1].row.recipe.thinking_cap is None],
                ),
                ("thought cut", "capped", [one for one in first if one[1].row.recipe.thinking_cap]),
            )
            if mine
        ),
        top=1.0,
        percent=True,
        vertical=((answer.tokens.value, f"λ = {numbers.lambda_(answer.lambda_)}"),),
        marks=tuple(
            (line.row.tokens.value, line.row.score.value, line.label, number)
            for number, line in first
        ),
    )
