"""Texts of others that try to be more than text, and a study that is full of them."""

from pathlib import Path

from hypothesis import strategies as st

from mi_tui.analysis.results import RecipeSummary
from mi_tui.analysis.statistics.flips import Answers, Flip, FlipCounts, Flips, ProblemFlips
from mi_tui.analysis.statistics.groups import GroupResults
from mi_tui.export.format import Subject
from mi_tui.plan.recipe import Recipe
from mi_tui.study.view import Breakdown
from tests.export.views import a_row, a_view, an_answer

CANARY = "/tmp/mi-tui-was-here"

HOSTILE = (
    f"a\n touch {CANARY}\n",
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"'; touch {CANARY}; '",
    'x"\nmerge_method: linear\n#',
    "x\u2028merge_method: linear",
    "x\x85merge_method: linear",
    "x\rmerge_method: linear",
    f"</title><script>fetch('{CANARY}')</script>",
    '" onmouseover="alert(1)',
    "{{ 7*7 }}{% raw %}",
    '=HYPERLINK("http://evil")',
    "+1+cmd|' /C calc'!A0",
    "\t=1+1",
    '"""\n[pair]\ninstruct = "evil"',
    "[x](javascript:alert(1)) <img src=x onerror=alert(1)> | a | b |\n# A heading",
    "\u202etxt.exe\u2066",
    "\x1b]0;owned\x07",
    "\x00null",
    "emoji \U0001f600 λ",
)

texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(min_size=1, max_size=40),
    st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=3).map("".join),
)
"""What a preset or a study of somebody else may say."""


def subject_of(text: str, out: Path = Path("/exports")) -> Subject:
    """A study in which every free text is this one; the pair is the bundled one."""
    # Nothing checked comes this far; what is written escapes all the same.
    recipe = Recipe(lambda_=0.5).model_copy(update={"backbone": text})
    view = a_view(text or "x")
    rows = (*view.rows, a_row(0.5).model_copy(update={"recipe": recipe}))
    answer = an_answer().model_copy(update={"recipe": recipe, "sentence": text})
    return Subject(
        view.__class__(
            path=view.path,
            name=text,
            preset=view.preset,
            state=view.state,
            message=text,
            progress=view.progress,
            rows=rows,
            recommendation=answer,
            engine_note=text,
            change=1,
        ),
        answer,
        {text: text},
        out,
        breakdown=breakdown_of(text, rows),
    )


def breakdown_of(text: str, rows: tuple[RecipeSummary, ...]) -> Breakdown:
    """Probes, strata and problems that are all called so."""
    answers = Answers(1.0, 2, 0), Answers(0.0, 2, 1)
    flips = (Flip.FIXED,)
    problem = ProblemFlips(0, text, text, text, answers[0], answers[1:], flips)
    counts = FlipCounts(text, text, dict.fromkeys(Flip, 1))
    found = Flips(rows[-1].recipe, (rows[0].recipe,), (problem,), ((counts,),))
    return Breakdown(tuple(GroupResults(text, name, 1, rows) for name in (None, text)), found)
