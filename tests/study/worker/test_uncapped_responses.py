"""Rows of Thinking with capped thoughts, in a real study."""

from pathlib import Path

import pytest

from mi_tui.analysis.statistics.curve import family
from mi_tui.engines.thinking_cap import CappedThinking
from mi_tui.plan.recipe import capped_thinking
from mi_tui.study.control import create_study
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from tests.study.presets import small_preset


def test_capped_rows_take_over_what_their_cap_leaves_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tuple(capped_thinking(cap) for cap in (20, 90))
    preset = small_preset(problems=8).model_copy(update={"recipes": rows})
    path = create_study(preset, tmp_path / "study")
    generated: list[int] = []
    add = CappedThinking.add

    def counted(self: CappedThinking, requests: object, prompts: dict[int, str]) -> None:
        generated.extend(prompts)
        add(self, requests, prompts)  # type: ignore[arg-type]

    monkeypatch.setattr(CappedThinking, "add", counted)
    assert work(StudyFolder(path)) is StudyState.DONE
    with Store(StudyFolder(path).database, reading=True) as store:
        recipes = store.recipes()
        answers = {
            (recipes[row["recipe"]], row["problem"], row["sample"]): row
            for row in store.rollouts_after(0, 1000)
        }
    thinking = preset.recipe(1.0)
    capped = [key for key in answers if key[0] in rows]
    assert len(capped) == 2 * 6 * 2  # two rows, six problems that are not held out, two samples
    same = [key for key in capped if answers[key]["text"] == answers[thinking, *key[1:]]["text"]]
    assert len(generated) == len(capped) - len(same)
    assert 0 < len(same) < len(capped)
    for key in capped:
        row, free = answers[key], answers[thinking, *key[1:]]
        assert row["seed"] == free["seed"]
        assert row["tokens"] <= 160
        if key in same:
            assert (row["score"], row["tokens"]) == (free["score"], free["tokens"])
        else:
            assert row["thinking"]
            assert (
                row["text"].partition("</think>")[0]
                == free["text"][: row["text"].index("</think>")]
            )
    assert not {recipes[at] for at in family(recipes)} & set(rows)
