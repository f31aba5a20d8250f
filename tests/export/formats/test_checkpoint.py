"""The exported checkpoint: written by a process of its own, with a card that says what it is."""

from dataclasses import replace
from pathlib import Path

from mi_tui.checkpoints.merging.manifest import verify
from mi_tui.export.format import FORMATS, Subject
from tests.export.views import a_row, a_view, an_answer


def test_the_card_is_named_after_study_and_recipe_and_its_rows_go_up_with_lambda(
    tmp_path: Path,
) -> None:
    view = a_view("Maths | for all")
    hot = a_row(0.5).recipe.model_copy(
        update={"decoding": a_row(0.5).recipe.decoding.model_copy(update={"temperature": 1.0})}
    )
    rows = (a_row(1.0), a_row(0.5), a_row(0.0), a_row(0.5).model_copy(update={"recipe": hot}))
    subject = Subject(replace(view, rows=rows), an_answer(0.5), {}, tmp_path)
    seen: list[tuple[int, int]] = []
    out = tmp_path / "checkpoint"
    FORMATS["checkpoint"].write(
        subject, out, lambda done, total: seen.append((done, total)), lambda: False
    )
    assert seen[-1][0] == seen[-1][1] > 0
    assert all(finding.level == "ok" for finding in verify(out))
    card = (out / "README.md").read_text()
    assert "\n# Maths \\| for all · MI-0.5\n" in card
    table = [line.split(" | ")[0] for line in card.splitlines() if line.startswith("| MI-")]
    assert table == ["| MI-0", "| MI-0.5", "| MI-0.5 · T 1, top-p 0.95", "| MI-1"]
