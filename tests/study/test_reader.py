"""A large study: what is read is what is new, and packed pieces say what the rows say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.recommendation.verdict import curves_of
from mi_tui.analysis.statistics.metrics import summarise
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.recipe import interpolation
from mi_tui.study.control import create_study
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage import observation_loader
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.observation_loader import ObservationLoader
from mi_tui.study.storage.packing import Answers, pack, unpack
from mi_tui.study.storage.records import PlannedAsk, Rollout
from mi_tui.study.storage.store import Store
from mi_tui.study.summaries import Summaries
from mi_tui.study.view import StudyState
from tests.analysis.synthetic import World
from tests.study.presets import small_preset
from tests.study.storage.test_store import a_probe, a_rollout


def answered(recipe: int, sample: int, answer: str | None = "4") -> list[Rollout]:
    """One rollout to each of the three search problems."""
    asks = [PlannedAsk(recipe, problem, sample, sample + 1) for problem in (0, 1, 2)]
    return [replace(a_rollout(ask, answer=answer), tokens=10 + sample) for ask in asks]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of two recipes and 60 rollouts, 30 of each."""
    path = create_study(small_preset(), tmp_path / "study")
    with Store(StudyFolder(path).database) as store:
        store.add_probes([a_probe()])
        recipes = [store.recipe_index(interpolation(lambda_)) for lambda_ in (0.0, 1.0)]
        for sample in range(10):
            store.plan_round([(r, problem, sample) for r in recipes for problem in (0, 1, 2)])
        for recipe in recipes:
            for sample in range(10):
                store.add_rollouts(answered(recipe, sample, "4" if sample % 3 else None))
    return path


def pack_study(study: Path, monkeypatch: pytest.MonkeyPatch, size: int = 7) -> None:
    monkeypatch.setattr(observation_loader, "PACK_FROM", size)
    with Store(StudyFolder(study).database) as store:
        loader = ObservationLoader(store)
        loader.load()
        loader.pack()


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each reading of the rollouts took."""
    counts: list[int] = []
    read = Store.rollout_columns

    def counted(store: Store, after: int = 0) -> list[tuple[Any, ...]]:
        rows = read(store, after)
        counts.append(len(rows))
        return rows

    monkeypatch.setattr(Store, "rollout_columns", counted)
    return counts


def same(one: Observations, other: Observations) -> bool:
    names = [name for name in Observations.__slots__ if name not in ("recipes", "problems")]
    return one.recipes == other.recipes and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in names
    )


def test_a_refresh_reads_only_what_is_new(study: Path, rows_read: list[int]) -> None:
    with StudyReader(study) as reader, Store(StudyFolder(study).database) as store:
        reader.view()
        assert rows_read == [60]
        store.add_rollouts(answered(0, 10))
        view = reader.view()
        reader.recommend()
        reader.view()
    assert rows_read[1:] == [3, 0, 0]
    assert [row.rollouts for row in view.rows] == [33, 30]


def test_only_recipes_with_new_rollouts_are_computed_again(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []

    def counted(observations: Observations, **kwargs: Any) -> Any:
        computed.append(len(observations))
        return summarise(observations, **kwargs)

    monkeypatch.setattr("mi_tui.study.summaries.summarise", counted)
    with StudyReader(study) as reader, Store(StudyFolder(study).database) as store:
        reader.view()
        reader.view()
        store.add_rollouts(answered(1, 10))
        reader.view()
    assert computed == [60, 33]


def test_a_packed_study_opens_without_reading_its_rows(
    study: Path, rows_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(StudyFolder(study).database) as store:
        whole = ObservationLoader(store).load()
    pack_study(study, monkeypatch)
    rows_read.clear()
    with Store(StudyFolder(study).database) as store:
        assert same(ObservationLoader(store).load(), whole)
        assert store.totals() == (60, int(whole.tokens.sum()))
        store.add_rollouts(answered(0, 10, "another"))
        assert store.totals() == (63, int(whole.tokens.sum()) + 3 * 20)
    assert rows_read == [0]


def test_packing_goes_on_where_the_last_worker_was_killed(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack_study(study, monkeypatch)
    database = StudyFolder(study).database
    with Store(database) as store:
        store.add_rollouts([*answered(0, 10, "x"), *answered(1, 10, "4"), *answered(0, 11, "y")])
    pack_study(study, monkeypatch)
    with Store(database) as store:
        store.add_rollouts(answered(1, 11, "x"))  # left unpacked
        through_pieces = ObservationLoader(store).load()
        monkeypatch.setattr(Store, "packed_rollouts", lambda store, after: None)
        assert same(through_pieces, ObservationLoader(store).load())


def test_few_rollouts_are_not_packed(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack_study(study, monkeypatch, size=61)
    with Store(StudyFolder(study).database) as store:
        assert store.packed_rollouts(0) is None


@given(st.lists(st.integers(3, 40), min_size=1, max_size=5), st.integers(0, 9))
def test_rows_kept_are_rows_computed_at_once(steps: list[int], seed: int) -> None:
    whole = World(problems=6, seed=seed).sweep((0.0, 0.5, 1.0), samples=3).observations()
    summaries = Summaries()
    end = 0
    for step in steps:
        end += step
        part = whole.where(slice(end))
        assert summaries.of(part, part.where(slice(0)), None) == summarise(part)


@given(st.lists(st.one_of(st.none(), st.text(max_size=6)), min_size=1, max_size=30))
def test_answers_keep_their_numbers(texts: list[str | None]) -> None:
    answers: Answers = {}
    numbers = [
        -1 if text is None else answers.setdefault((place % 3, text), len(answers))
        for place, text in enumerate(texts)
    ]
    columns = {"answer": np.array(numbers, dtype=np.int64), "score": np.linspace(0, 1, len(texts))}
    found: Answers = {}
    unpacked = unpack(pack(columns, answers), found)
    assert found == answers
    assert unpacked["answer"].tolist() == numbers
    assert unpacked["score"].tolist() == columns["score"].tolist()


def test_budgets_share_the_curves_until_there_are_new_rollouts(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[int] = []

    def counted(observations: Observations, **kwargs: Any) -> Any:
        fits.append(len(observations))
        return curves_of(observations, **kwargs)

    monkeypatch.setattr("mi_tui.study.reader.curves_of", counted)
    with StudyReader(study) as reader, Store(StudyFolder(study).database) as store:
        one = reader.recommend(parse_budget("tokens<=15"))
        reader.recommend(parse_budget("knee"))
        assert fits == [60]
        alone = recommend(
            reader.observations(), one.budget, seed=small_preset().search.seed, latency=None
        )
        assert one == alone
        store.add_rollouts(answered(0, 10))
        reader.recommend(parse_budget("knee"))
    assert fits == [60, 63]


def test_a_round_under_way_moves_no_answer(study: Path) -> None:
    budget = parse_budget("tokens<=15")
    with StudyReader(study) as reader, Store(StudyFolder(study).database) as store:
        before, rows = reader.recommend(budget), reader.view().rows
        store.plan_round([(1, problem, 20) for problem in (0, 1, 2)])
        first, *others = store.open_asks()
        store.add_rollouts([replace(a_rollout(first), tokens=1)])
        assert reader.recommend(budget) == before
        assert reader.view().rows == rows
        assert reader.view().progress.rollouts == 61
        store.add_rollouts([a_rollout(ask) for ask in others])
        assert reader.recommend(budget) != before
        assert [row.rollouts for row in reader.view().rows] == [30, 33]


def test_a_recipe_in_its_first_round_has_a_preliminary_row(study: Path) -> None:
    with StudyReader(study) as reader, Store(StudyFolder(study).database) as store:
        rows = reader.view().rows
        recipe = store.recipe_index(interpolation(0.5))
        store.plan_round([(recipe, problem, 0) for problem in (0, 1, 2)])
        first, *others = store.open_asks()
        store.add_rollouts([a_rollout(first)])
        view = reader.view()
        assert view.measured == rows
        (begun,) = set(view.rows) - set(rows)
        assert (begun.recipe, begun.rollouts, begun.stage) == (interpolation(0.5), 1, None)
        assert begun.preliminary
        store.add_rollouts([a_rollout(ask) for ask in others])
        view = reader.view()
        assert view.measured == view.rows
        assert [row.rollouts for row in view.rows] == [30, 30, 3]


def test_a_running_study_answers_once_its_first_round_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The λ with short responses alone would be continued to those with long ones."""
    path = create_study(small_preset(), tmp_path / "study")
    with StudyReader(path) as reader, Store(StudyFolder(path).database) as store:
        store.add_probes([a_probe()])
        short, long = (store.recipe_index(interpolation(lambda_)) for lambda_ in (0.0, 1.0))
        store.plan_round([(recipe, problem, 0) for recipe in (short, long) for problem in (0, 1)])
        store.plan_round([(recipe, problem, 1) for recipe in (short, long) for problem in (0, 1)])
        by_recipe = {r: [a for a in store.open_asks() if a.recipe == r] for r in (short, long)}
        store.add_rollouts([a_rollout(ask) for ask in by_recipe[short]])
        assert store.in_first_round()
        assert reader.recommend()
        monkeypatch.setattr(StudyReader, "state", StudyState.RUNNING)
        with pytest.raises(StudyError, match="no complete round yet: let it go on"):
            reader.recommend()
        store.add_rollouts([a_rollout(ask) for ask in by_recipe[long] if ask.round == 1])
        assert not store.in_first_round()
        assert reader.recommend()


def test_a_dropped_recipe_does_not_hold_up_the_first_round(tmp_path: Path) -> None:
    path = create_study(small_preset(), tmp_path / "study")
    with Store(StudyFolder(path).database) as store:
        store.add_probes([a_probe()])
        store.plan_round([(store.recipe_index(interpolation(0.5)), 0, 0)])
        assert store.in_first_round()
        store.drop_recipe(interpolation(0.5))
        assert not store.in_first_round()


def test_before_the_first_round_is_complete_there_is_no_answer(tmp_path: Path) -> None:
    path = create_study(small_preset(), tmp_path / "study")
    with StudyReader(path) as reader, Store(StudyFolder(path).database) as store:
        store.add_probes([a_probe()])
        with pytest.raises(StudyError, match="no rollouts yet"):
            reader.recommend()
        recipe = store.recipe_index(interpolation(0.5))
        store.plan_round([(recipe, 0, 0), (recipe, 1, 0)])
        store.add_rollouts([a_rollout(store.open_asks()[0])])
        with pytest.raises(StudyError, match="no complete round yet: let it go on"):
            reader.recommend()
        assert [row.preliminary for row in reader.view().rows] == [True]
