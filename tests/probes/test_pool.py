"""The scoring pool: right scores, and no scorer that can stop a study."""

import time
from collections.abc import Iterator

import pytest

from mi_tui.probes.pool import ScoringPool
from mi_tui.probes.problem import Problem, Score

PROBLEM = Problem("1", ({"role": "user", "content": "40 + 2?"},), "42")


@pytest.fixture
def pool() -> Iterator[ScoringPool]:
    with ScoringPool(processes=1, time_limit=20.0) as scoring:
        yield scoring


def drain(pool: ScoringPool, seconds: float = 60.0) -> dict[int, Score]:
    scores: dict[int, Score] = {}
    deadline = time.monotonic() + seconds
    while pool.pending and time.monotonic() < deadline:
        scores.update(pool.poll(1.0))
    return scores


def test_every_response_gets_its_own_score(pool: ScoringPool) -> None:
    for key in range(200):
        pool.submit(key, "boxed-integer", PROBLEM, f"\\boxed{{{key}}}", False)
    scores = drain(pool)
    assert scores == {key: Score(float(key == 42), str(key)) for key in range(200)}


def test_truncated_and_unfinished_responses_are_incorrect(pool: ScoringPool) -> None:
    pool.submit(1, "boxed-integer", PROBLEM, "so \\boxed{42}", True)
    pool.submit(2, "boxed-integer", PROBLEM, "<think>so \\boxed{42}", False)
    pool.submit(3, "boxed-integer", PROBLEM, "\\boxed{41}</think>\\boxed{42}", False)
    assert drain(pool) == {1: Score(0.0), 2: Score(0.0), 3: Score(1.0, "42")}


def test_an_unknown_scorer_fails_its_rollout_only(pool: ScoringPool) -> None:
    pool.submit(1, "no-such-scorer", PROBLEM, "x", False)
    pool.submit(2, "boxed-integer", PROBLEM, "\\boxed{42}", False)
    scores = drain(pool)
    assert scores[1].failure is not None
    assert "unknown scorer" in scores[1].failure
    assert scores[2] == Score(1.0, "42")


def test_lone_surrogates_and_huge_texts_pass_through(pool: ScoringPool) -> None:
    pool.submit(1, "boxed-integer", PROBLEM, "\ud800\x00\x1b[2J" * 100_000 + "\\boxed{42}", False)
    assert drain(pool) == {1: Score(1.0, "42")}
