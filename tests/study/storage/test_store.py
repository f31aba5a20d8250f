"""The store: what is put in comes out, once, whatever happens in between."""

import sqlite3
import threading
from pathlib import Path

import pytest

from mi_tui.plan.recipe import interpolation
from mi_tui.probes.problem import Probe, Problem
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.observation_loader import ObservationLoader
from mi_tui.study.storage.records import PlannedAsk, Rollout
from mi_tui.study.storage.schema import SCHEMA_VERSION
from mi_tui.study.storage.store import Store


def a_probe(name: str = "sums", problems: int = 4) -> Probe:
    return Probe(
        name=name,
        scorer="integer",
        problems=tuple(
            Problem(
                id=f"{name}-{n}",
                messages=({"role": "user", "content": f"{n} + {n} = ?"},),
                answer=str(2 * n),
                split="held-out" if n == problems - 1 else "search",
            )
            for n in range(problems)
        ),
        max_new_tokens=50,
        weight=2.0,
    )


def a_rollout(ask: PlannedAsk, text: str = "so \\boxed{4}", answer: str | None = "4") -> Rollout:
    return Rollout(
        ask=ask,
        seed=7,
        text=text,
        score=1.0,
        tokens=12,
        think_tokens=3,
        thinking=True,
        truncated=False,
        answer=answer,
        failure=None,
        seconds=0.5,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "study.db", create=True)
    store.add_probes([a_probe()])
    return store


def test_lists_that_two_connections_lengthen_lose_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "study.db", create=True):
        pass

    def lengthen(name: str) -> None:
        with Store(tmp_path / "study.db") as store:
            for number in range(20):
                store.append("seen", [name, number])

    threads = [threading.Thread(target=lengthen, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store(tmp_path / "study.db") as store:
        seen = store.get("seen")
    assert [number for name, number in seen if name == "one"] == list(range(20))
    assert [number for name, number in seen if name == "other"] == list(range(20))


def test_probes_come_back_with_their_hash(store: Store) -> None:
    assert store.probes() == [a_probe()]
    assert store.probes()[0].sha256 == a_probe().sha256
    rows = store.problem_rows()
    assert [row.held_out for row in rows] == [False, False, False, True]
    assert sum(row.weight for row in rows) == pytest.approx(2.0)


def test_a_rollout_is_stored_once(store: Store) -> None:
    recipe = store.recipe_index(interpolation(0.5))
    store.plan_round([(recipe, 0, 0), (recipe, 1, 0)])
    first, second = store.open_asks()
    store.add_rollouts([a_rollout(first, text="the first")])
    store.add_rollouts([a_rollout(first, text="again"), a_rollout(second)])
    assert store.totals() == (2, 24)
    assert store.open_asks() == []
    texts = [row["text"] for row in store.responses()]
    assert "the first" in texts
    assert "again" not in texts


def test_what_is_planned_survives_and_is_not_planned_twice(store: Store, tmp_path: Path) -> None:
    recipe = store.recipe_index(interpolation(0.5))
    store.plan_round([(recipe, 0, 0), (recipe, 1, 0)])
    store.plan_round([(recipe, 1, 0), (recipe, 2, 0)])
    with Store(tmp_path / "study.db") as again:
        planned = [(a.problem, a.round) for a in again.open_asks()]
    assert planned == [(0, 1), (1, 1), (2, 2)]


def test_dropping_a_recipe_takes_back_what_is_only_planned(store: Store) -> None:
    keep, drop = store.recipe_index(interpolation(0.5)), store.recipe_index(interpolation(0.7))
    store.plan_round([(keep, 0, 0), (drop, 0, 0), (drop, 1, 0)])
    answered = next(ask for ask in store.open_asks() if ask.recipe == drop)
    store.add_rollouts([a_rollout(answered)])
    store.drop_recipe(interpolation(0.7))
    assert [ask.recipe for ask in store.open_asks()] == [keep]
    assert store.totals()[0] == 1
    assert store.dropped_recipes() == (interpolation(0.7),)


def test_a_round_counts_once_it_is_complete(store: Store) -> None:
    first, second = store.recipe_index(interpolation(0.5)), store.recipe_index(interpolation(0.7))
    store.plan_round([(r, p, 0) for r in (first, second) for p in (0, 1)])
    loader = ObservationLoader(store)

    def answer(recipe: int, problem: int) -> tuple[list[int], list[int]]:
        asked = [a for a in store.open_asks() if (a.recipe, a.problem) == (recipe, problem)]
        store.add_rollouts([a_rollout(asked[0])])
        complete, begun = loader.load_complete()
        return sorted(complete.recipe), sorted(begun.recipe)

    assert answer(first, 0) == ([], [first])
    assert answer(second, 0) == ([], [first, second])
    assert answer(first, 1) == ([first, first], [second])
    store.plan_round([(first, 2, 0), (first, 3, 0)])
    assert answer(first, 2) == ([first, first], [first, second])
    assert answer(second, 1) == ([first, first, second, second], [first])
    assert answer(first, 3) == ([first] * 4 + [second] * 2, [])


def test_what_a_dropped_recipe_left_incomplete_stays_incomplete(store: Store) -> None:
    keep, drop = store.recipe_index(interpolation(0.5)), store.recipe_index(interpolation(0.7))
    store.plan_round([(drop, 0, 0), (drop, 1, 0)])
    store.add_rollouts([a_rollout(store.open_asks()[0])])
    store.drop_recipe(interpolation(0.7))
    for problem in (0, 1, 2):
        store.plan_round([(keep, problem, 0)])
        store.add_rollouts([a_rollout(ask) for ask in store.open_asks()])
    complete, begun = ObservationLoader(store).load_complete()
    assert complete.recipe.tolist() == [keep] * 3
    assert begun.recipe.tolist() == [drop]


def test_columns_are_loaded_once_and_then_only_what_is_new(store: Store, tmp_path: Path) -> None:
    recipe = store.recipe_index(interpolation(0.5))
    store.plan_round([(recipe, p, 0) for p in (0, 1, 2)])
    asks = store.open_asks()
    loader = ObservationLoader(store)
    store.add_rollouts([a_rollout(asks[0]), a_rollout(asks[1], answer=None)])
    assert loader.load().answer.tolist() == [0, -1]
    with Store(tmp_path / "study.db") as other:
        other.add_rollouts([a_rollout(asks[2])])
    found = loader.load()
    assert found.problem.tolist() == [0, 1, 2]
    assert found.recipes == (interpolation(0.5),)
    assert loader.load(up_to_round=0).problem.tolist() == []


def test_hostile_text_comes_back_as_it_was(store: Store) -> None:
    recipe = store.recipe_index(interpolation(0.5))
    store.plan_round([(recipe, 0, 0)])
    text = "\x1b[31m[bold]\x00 ünï 日本語 \\boxed{2^{10^9}}"
    store.add_rollouts([a_rollout(store.open_asks()[0], text=text)])
    assert store.responses()[0]["text"] == text


def test_requests_are_handled_once_in_order(store: Store) -> None:
    store.leave_request("pause", {})
    store.leave_request("more", {"recipe": "k", "samples": 4})
    first, second = store.open_requests()
    assert (first.kind, second.data) == ("pause", {"recipe": "k", "samples": 4})
    store.handled(first)
    assert store.open_requests() == [second]


def test_another_connection_sees_that_something_changed(store: Store, tmp_path: Path) -> None:
    before = store.data_version()
    with Store(tmp_path / "study.db") as other:
        other.put(state="running")
    assert store.data_version() != before
    assert store.get("state") == "running"


def test_readers_are_not_in_the_writers_way(store: Store, tmp_path: Path) -> None:
    recipe = store.recipe_index(interpolation(0.5))
    store.plan_round([(recipe, p, s) for p in (0, 1, 2) for s in range(30)])
    counts: list[int] = []
    done = threading.Event()

    def look() -> None:
        with Store(tmp_path / "study.db") as reader:
            while not done.is_set():
                counts.append(reader.totals()[0])

    thread = threading.Thread(target=look)
    thread.start()
    for ask in store.open_asks():
        store.add_rollouts([a_rollout(ask)])
    done.set()
    thread.join()
    assert counts == sorted(counts)
    assert store.totals()[0] == 90


def test_a_newer_schema_is_refused_in_one_line(store: Store, tmp_path: Path) -> None:
    store.close()
    with sqlite3.connect(tmp_path / "study.db") as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StudyError, match="upgrade mi-tui"):
        Store(tmp_path / "study.db")


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StudyError, match="cannot open"):
        Store(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_a_missing_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"study\.db is missing"):
        Store(tmp_path / "study.db")
