"""The demo pair's reference sweep: what it holds, and how it is read."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.replay_surface import read_surfaces
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.library import find_preset
from mi_tui.plan.toml import write_preset
from tests.study.reference import Reference, read_reference

SWEEP = demo_pair_folder() / "sweep.csv"


@pytest.fixture(scope="module")
def reference() -> Reference:
    return read_reference()


def test_it_has_101_lambdas_and_errors_of_its_means(reference: Reference) -> None:
    assert np.allclose(reference.lambdas, np.linspace(0, 1, 101))
    assert (reference.score_error > 0).all()
    assert (reference.score_error < 0.02).all()
    assert (reference.tokens_error > 0).all()
    assert (reference.tokens_error < 0.05 * reference.tokens).all()


def test_the_replay_benchmark_reads_it() -> None:
    (surface,) = read_surfaces(demo_pair_folder() / "reference_sweep.csv")
    assert surface.name == "arithmetic"


def test_it_agrees_with_the_sweep_that_the_training_measured(reference: Reference) -> None:
    """Other problems, another decoder: the two agree within their errors."""
    with SWEEP.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at = reference.at(float(row["lambda"]))
            share = float(row["mean"]) / 100
            # Half as many problems as here, and samples that are alike within a problem.
            error = math.hypot(math.sqrt(share * (1 - share) / 400), reference.score_error[at])
            assert reference.score[at] == pytest.approx(share, abs=4 * error)
            length = float(row["tokens"])
            assert reference.tokens[at] == pytest.approx(length, rel=0.15)


def test_it_shows_the_three_stages(reference: Reference) -> None:
    assert reference.thinking[0] < 0.01
    assert 0.2 < reference.thinking[reference.at(0.45)] < 0.8
    assert reference.thinking[reference.at(0.8)] > 0.98
    best = reference.lambdas[reference.score.argmax()]
    assert 0.6 < best < 0.9


def test_smoothing_keeps_to_the_rows(reference: Reference) -> None:
    away = np.abs(reference.smooth(reference.score) - reference.score)
    assert (away < 2 * reference.score_error).mean() > 0.95


def test_the_best_lambda_within_a_limit_keeps_it(reference: Reference) -> None:
    best = reference.best_within_tokens(60.0)
    assert 0.6 <= best <= 0.66
    assert reference.loss(best, 60.0) == 0.0
    assert reference.loss(0.5, 60.0) > 0.1


@pytest.mark.slow
def test_the_demo_study_recommends_a_lambda_within_the_tolerance_of_the_best(
    reference: Reference, tmp_path: Path
) -> None:
    """The issue's sentence, end to end: a real study against the sweep that it has never seen."""
    _, demo = find_preset("demo")
    engine = demo.engine.model_copy(update={"batch": 64})
    write_preset(demo.model_copy(update={"engine": engine}), tmp_path / "demo.toml")
    done = subprocess.run(
        [sys.executable, "-m", "mi_tui", "run", "demo.toml", "--study", "study", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)["recommendation"]
    limit = demo.budget.limit or 0.0
    best = reference.best_within_tokens(limit)
    assert reference.loss(answer["lambda"], limit) <= demo.search.tolerance
    assert answer["lambda_low"] <= best <= answer["lambda_high"]
    at = reference.at(answer["lambda"])
    # The sweep knows a mean length within some 2 %: no more can be asked of the limit.
    assert reference.smooth(reference.tokens)[at] <= limit + 2 * reference.tokens_error[at]
