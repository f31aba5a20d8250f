"""The headline and the lines of an answer: settled, stopped before, or nothing recommended."""

from mi_tui.present.answer import answer_lines, headline, in_words, measures
from tests.export.views import an_answer

OPEN = an_answer().model_copy(update={"resolved": False, "more_rollouts": 500})
NOTHING = an_answer(sentence="nothing is recommended: no λ solves more than 4.0 %").model_copy(
    update={"recommended": False, "remarks": ("floor",)}
)


def plain(_: str) -> str:
    return ""


def test_a_settled_answer_says_so_whatever_ended_the_study() -> None:
    said = headline(plain, an_answer(), "max_rollouts reached (100 of 100)").plain
    assert "✓ settled" in said
    assert "stopped" not in said


def test_an_unsettled_answer_says_what_ended_the_study() -> None:
    reason = "max_rollouts reached (100 of 100)"
    assert f"! stopped before it was settled: {reason}" in headline(plain, OPEN, reason).plain
    assert "not settled yet" in headline(plain, OPEN).plain
    assert f"The study stopped before it was settled: {reason}." in answer_lines(OPEN, reason)
    assert not any("stopped" in line for line in answer_lines(OPEN))


def test_where_nothing_is_recommended_no_recipe_stands_beside_it() -> None:
    said = headline(plain, NOTHING).plain
    assert "nothing is recommended" in said
    assert "λ = 0.5" not in said
    assert answer_lines(NOTHING)[1:] == [NOTHING.sentence]
    assert in_words(plain, NOTHING).splitlines()[1:] == [NOTHING.sentence]
    assert not measures(plain, NOTHING).plain
