"""The facts of a study come back as they were kept, and foreign ones are refused in one line."""

import json
import sqlite3
from pathlib import Path

import pytest

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.results import LatencyPoint
from mi_tui.plan.budget import parse_budget
from mi_tui.study.control import list_studies
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import ChosenEngine, Facts, MeasuredSpeed, keep, stored_state
from mi_tui.study.storage.store import Store
from mi_tui.study.view import Progress, StudyState
from tests.study.presets import small_preset
from tests.tui import views

SPEED = MeasuredSpeed(
    "box · cuda · bfloat16",
    Latency(time_to_first_token=0.1, time_per_output_token=0.02),
    (LatencyPoint(1, 0.1, 0.02), LatencyPoint(4, 0.2, 0.03, 0.001)),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    folder = tmp_path / "mine"
    folder.mkdir()
    return Store(folder / "study.db", create=True)


def test_a_study_without_facts(store: Store) -> None:
    facts = Facts.of(store)
    assert facts.state is StudyState.NEW
    assert facts.title == "mine"
    assert (facts.speed, facts.latency, facts.recommendation) == (None, None, None)
    assert (facts.elapsed, facts.more, facts.confirmations) == (0.0, {}, ())
    assert facts.progress == Progress("", 0, 0, 0, 0.0, 0.0, None, 0)
    assert not facts.is_made
    with pytest.raises(StudyError, match="cut short"):
        _ = facts.preset


def test_what_is_kept_comes_back(store: Store) -> None:
    progress = Progress("coarse grid", 3, 9, 120, 41.5, 2.0, 4.5, 2, "GPU 1 of 80 GiB")
    answer = views.recommendation()
    keep(store, preset=small_preset(), title="Small", state=StudyState.PAUSED, message="waits")
    keep(store, latency=SPEED, progress=progress, elapsed=2.5, more={"k": 4})
    keep(store, recommendation=answer, confirmation_dtype="bfloat16", engine_note="one pass")
    facts = Facts.of(store)
    assert facts.made_of == facts.preset == small_preset()
    assert (facts.title, facts.state, facts.message) == ("Small", StudyState.PAUSED, "waits")
    assert (facts.speed, facts.latency) == (SPEED, SPEED.latency)
    assert (facts.progress, facts.elapsed, facts.more) == (progress, 2.5, {"k": 4})
    assert facts.recommendation == answer
    assert facts.recommended_lambda == answer.lambda_
    assert (facts.confirmation_dtype, facts.engine_note) == ("bfloat16", "one pass")
    assert stored_state(store) is StudyState.PAUSED


def test_the_engine_that_was_chosen_is_the_study_s_from_then_on(store: Store) -> None:
    made = small_preset()
    keep(store, preset=made)
    assert made.engine.kind == "auto"
    assert Facts.of(store).engine is None
    assert Facts.of(store).preset.engine.kind == "auto"
    keep(store, engine=ChosenEngine("vllm", "a GPU is there"))
    facts = Facts.of(store)
    assert facts.engine == ChosenEngine("vllm", "a GPU is there")
    assert facts.made_of == made
    assert facts.preset == made.with_engine("vllm")
    keep(store, preset=made.with_engine("transformers"))
    assert Facts.of(store).preset.engine.kind == "transformers", "what the preset names comes first"


def test_a_budget_that_was_set_later_takes_the_presets_place(store: Store) -> None:
    later = parse_budget("tokens<=7")
    keep(store, preset=small_preset(), budget=later)
    assert Facts.of(store).preset == small_preset().model_copy(update={"budget": later})
    assert Facts.of(store).made_of == small_preset()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state", "dancing"),
        ("state", ["new"]),
        ("latency", {"machine": "box"}),
        ("latency", "fast"),
        ("engine", {"kind": "warp"}),
        ("engine", "vllm"),
        ("latency", {"machine": "box", "latency": {"speed": 1}, "points": []}),
        ("progress", {"rollouts": "many"}),
        ("progress", [1]),
        ("recommendation", {"lambda": 0.5}),
        ("budget", {"objective": "the best"}),
        ("preset", {"title": ""}),
    ],
)
def test_foreign_facts_are_one_line_and_only_their_study_is_lost(
    tmp_path: Path, key: str, value: object
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    with Store(folder / "study.db", create=True) as store:
        keep(store, preset=small_preset(), title="Theirs")
    with sqlite3.connect(folder / "study.db") as database:
        row = (key, json.dumps(value))
        database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)
    with pytest.raises(StudyError, match=r"theirs holds a .*: upgrade mi-tui") as raised:
        StudyReader(folder).view()
    assert "\n" not in str(raised.value)
    (entry,) = list_studies(tmp_path)
    assert entry.name == "theirs"
