"""Flips: each problem's class by hand, and against a count of the rollouts one by one."""

from collections import Counter

import numpy as np
import pytest

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.statistics.flips import Flip, FlipError, find_flips
from mi_tui.plan.recipe import Decoding, interpolation
from mi_tui.plan.scope import Scope, parse_layers

LOW, MIDDLE, HIGH = (interpolation(value) for value in (0.0, 0.6, 1.0))


def observed(
    rows: list[tuple[int, int, float]],
    strata: tuple[str, ...],
    probes: tuple[str, ...] | None = None,
    held_out: frozenset[int] = frozenset(),
) -> Observations:
    """Rollouts as (recipe, problem, score), of three recipes."""
    problems = tuple(
        ProblemRow(probe, f"{index:04d}", stratum, 1.0, 100, index in held_out)
        for index, (probe, stratum) in enumerate(
            zip(probes or ("p",) * len(strata), strata, strict=True)
        )
    )
    recipe, problem, score = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones(len(rows), dtype=np.int64)
    return Observations(
        (LOW, MIDDLE, HIGH),
        problems,
        recipe.astype(np.int64),
        problem.astype(np.int64),
        np.arange(len(rows)),
        score.astype(np.float64),
        ones,
        ones.astype(bool),
        ~ones.astype(bool),
        ones,
    )


def several(recipe: int, problem: int, *scores: float) -> list[tuple[int, int, float]]:
    return [(recipe, problem, score) for score in scores]


NOT_SCORED = float("nan")


def test_every_class_by_the_mean_of_the_scored_samples() -> None:
    rows = [
        *several(0, 0, 0, 0, 1),  # 1/3: not solved
        *several(1, 0, 1, 0),  # one half is solved
        *several(2, 0, 1, 1),
        *several(0, 1, 1, 1),
        *several(1, 1, 0, 0, NOT_SCORED),
        *several(2, 1, NOT_SCORED),
        *several(0, 2, 0.4),  # graded
        *several(1, 2, 0.49),
        *several(2, 2, 0.5),
        *several(1, 3, 1),
        *several(2, 3, 1),
    ]
    found = find_flips(observed(rows, ("a", "a", "b", "b")), MIDDLE, (LOW, HIGH))
    assert [one.flips for one in found.problems] == [
        (Flip.FIXED, Flip.ALWAYS),
        (Flip.BROKEN, Flip.UNKNOWN),
        (Flip.NEVER, Flip.BROKEN),
        (Flip.UNKNOWN, Flip.ALWAYS),
    ]
    second = found.problems[1]
    assert (second.answers.score, second.answers.samples, second.answers.not_scored) == (0.0, 2, 1)
    assert (second.against[1].score, second.against[1].not_scored) == (None, 1)
    assert found.not_scored == 2
    groups = found.counts[0]
    assert [(one.probe, one.stratum) for one in groups] == [(None, None), ("p", "a"), ("p", "b")]
    assert groups[0].counts == dict.fromkeys(Flip, 0) | {
        Flip.FIXED: 1,
        Flip.BROKEN: 1,
        Flip.NEVER: 1,
        Flip.UNKNOWN: 1,
    }
    assert groups[1].counts[Flip.FIXED] == groups[1].counts[Flip.BROKEN] == 1


def test_the_counts_are_those_of_the_problems_one_by_one() -> None:
    random = np.random.default_rng(3)
    strata = tuple(random.choice(["", "x", "y"], 60))
    probes = tuple(random.choice(["p", "q"], 60))
    rows = [
        (recipe, problem, float(random.choice([0, 1, NOT_SCORED], p=[0.5, 0.45, 0.05])))
        for recipe in range(3)
        for problem in range(60)
        for _ in range(int(random.integers(0, 4)))
    ]
    held_out = frozenset({0, 7})
    found = find_flips(observed(rows, strata, probes, held_out), MIDDLE, (LOW, HIGH))
    solved: dict[tuple[int, int], bool | None] = {}
    for recipe in range(3):
        for problem in range(60):
            scores = [s for r, p, s in rows if (r, p) == (recipe, problem) and s == s]
            solved[recipe, problem] = sum(scores) >= len(scores) / 2 if scores else None
    words = {
        (False, True): Flip.FIXED,
        (True, False): Flip.BROKEN,
        (True, True): Flip.ALWAYS,
        (False, False): Flip.NEVER,
    }
    for place, other in ((0, 0), (1, 2)):
        asked = {p for _, p, _ in rows} - held_out
        expected = Counter(
            words.get((solved[other, p], solved[1, p]), Flip.UNKNOWN)  # type: ignore[arg-type]
            for p in asked
        )
        total, *parts = found.counts[place]
        assert {flip: count for flip, count in total.counts.items() if count} == dict(expected)
        of_probes = [part for part in parts if part.stratum is None]
        of_strata = [part for part in parts if part.stratum is not None]
        assert {part.probe for part in of_probes} == {"p", "q"}
        for flip in Flip:
            assert sum(part.counts[flip] for part in of_probes) == total.counts[flip]
            assert sum(part.counts[flip] for part in of_strata) == total.counts[flip]


def test_a_lambda_that_was_not_asked_is_stood_for_by_the_nearest() -> None:
    rows = [(recipe, 0, 1.0) for recipe in range(3)]
    found = find_flips(observed(rows, ("",)), interpolation(0.7), (LOW, HIGH))
    assert (found.recipe, found.wanted) == (MIDDLE, interpolation(0.7))
    found = find_flips(observed(rows, ("",)), interpolation(0.95), (LOW, HIGH))
    assert (found.recipe, found.against) == (HIGH, (LOW,))
    elsewhere = (
        interpolation(0.6, Scope(layers=parse_layers("1-2"))),
        MIDDLE.model_copy(update={"decoding": Decoding(temperature=1.0)}),
    )
    for recipe in elsewhere:
        with pytest.raises(FlipError, match="was not measured: name a row"):
            find_flips(observed(rows, ("",)), recipe, (LOW, HIGH))


def test_without_an_end_there_is_nothing_to_compare_with() -> None:
    rows = [(1, 0, 1.0), (0, 1, 1.0)]
    with pytest.raises(FlipError, match=r"MI-0\.6 can be compared with MI-0 or MI-1 once"):
        find_flips(observed(rows, ("", ""), held_out=frozenset({1})), MIDDLE, (LOW, HIGH))
