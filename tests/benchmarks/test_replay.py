import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.replay import budgets_of, grid_cost, judge, main, run_trial
from benchmarks.replay_surface import SimulatedProbe, Surface, SurfaceError, read_surfaces
from mi_tui.analysis.statistics.metrics import summarise
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.recipe import interpolation

TABLE = """pair,method,lambda,probe,samples,mean,pass_at_k,vote_at_k,tokens,think_percent
p,instruct,0.0,sums,8,30.0,,,100,0.0
p,ties,,sums,8,99.0,,,1,50.0
p,interpolation,0.5,sums,8,60.0,,,80,60.0
p,interpolation,0.8,sums,8,80.0,,,300,99.0
p,thinking,1.0,sums,8,75.0,,,500,100.0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "surface.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture
def surface(file: Path) -> Surface:
    return read_surfaces(file)[0]


def test_curves_go_through_the_rows_and_never_beyond(surface: Surface) -> None:
    assert surface.score[[0, 50, 80, 100]] == pytest.approx([0.3, 0.6, 0.8, 0.75])
    assert surface.tokens[[0, 50, 80, 100]] == pytest.approx([100, 80, 300, 500])
    assert surface.score.max() == pytest.approx(0.8)
    assert surface.tokens.min() == pytest.approx(80)


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 0.8])
def test_the_means_hold_over_the_population_of_problems(surface: Surface, lambda_: float) -> None:
    probe = SimulatedProbe(surface, seed=1, problems=12_000, held_out=0.0)
    for problem in range(12_000):
        probe.ask(interpolation(lambda_), problem, 0)
    row = summarise(probe.observations())[0]
    at = surface.at(lambda_)
    assert row.score.value == pytest.approx(surface.score[at], abs=0.015)
    assert row.tokens.value == pytest.approx(surface.tokens[at], rel=0.02)
    assert row.think_ratio.value == pytest.approx(surface.thinking[at], abs=0.015)


def test_regret_is_against_the_best_that_keeps_the_budget(surface: Surface) -> None:
    budget = parse_budget("tokens<=300")
    assert judge(surface, budget, 0.8) == (0.0, False, 0.8)
    regret, violated, _ = judge(surface, budget, 0.5)
    assert regret == pytest.approx(20)
    assert not violated
    assert judge(surface, budget, 1.0)[1]
    assert judge(surface, parse_budget("score>=0.6"), 0.5)[0] == pytest.approx(0, abs=1e-9)


def test_a_study_spends_about_what_it_may_and_knows_only_its_rollouts(surface: Surface) -> None:
    tokens = grid_cost(surface)
    trial = run_trial(
        3,
        surface=surface,
        budget=budgets_of(surface, 0.95)[1],
        method="mi-tui",
        tokens=tokens,
        problems=100,
    )
    assert 0.5 * tokens < trial.tokens < 1.2 * tokens
    assert trial.covered is not None
    assert math.isfinite(trial.regret)


def test_the_command_prints_a_line_per_budget_and_method(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--surface", str(file), "--probe", "sums", "--seeds", "2", "--json"]
    methods = ["--method", "mi-tui", "--method", "even grid"]
    assert main([*arguments, *methods, "--budget", "tokens<=200"]) == 0
    lines = json.loads(capsys.readouterr().out)
    assert [(line["surface"], line["method"]) for line in lines] == [
        ("sums", "mi-tui"),
        ("sums", "even grid"),
        ("all", "mi-tui"),
        ("all", "even grid"),
    ]
    assert all(np.isfinite(line["regret"]) for line in lines)
    assert [line["seeds"] for line in lines] == [2] * 4


def test_optunas_samplers_may_have_fewer_studies_and_lines_are_a_table(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    arguments = ["--surface", str(file), "--seeds", "3", "--optuna-seeds", "1"]
    methods = ["--method", "optuna TPE", "--method", "random"]
    assert main([*arguments, *methods, "--budget", "tokens<=200", "--processes", "2"]) == 0
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert len({len(line) for line in lines if "---" not in line[0]}) == 1
    assert [line[2:4] for line in lines[2:4]] == [["optuna TPE", "1"], ["random", "3"]]


def test_equal_lines_are_equal_and_each_line_has_problems_of_its_own(surface: Surface) -> None:
    def trial(method: str, budget: str) -> float:
        found = run_trial(
            0,
            surface=surface,
            budget=parse_budget(budget),
            method=method,
            tokens=1e4,
            problems=50,
        )
        return found.tokens

    assert trial("even grid", "tokens<=200") == trial("even grid", "tokens<=200")
    assert trial("even grid", "tokens<=200") != trial("even grid", "tokens<=201")


def test_a_table_without_the_probe_is_one_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SurfaceError, match="no probe nothing"):
        read_surfaces(file, "nothing")
    assert main(["--surface", str(file), "--probe", "nothing"]) == 2
    assert "no probe nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_the_search_beats_the_even_grid_on_surfaces_it_was_not_made_for() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "synthetic_surfaces.csv"
    regrets: dict[str, list[float]] = {"mi-tui": [], "even grid": []}
    violated = []
    for surface in read_surfaces(path):
        for seed in range(8):
            for method, found in regrets.items():
                trial = run_trial(
                    seed,
                    surface=surface,
                    budget=budgets_of(surface, 0.95)[1],
                    method=method,
                    tokens=grid_cost(surface),
                    problems=200,
                )
                found.append(trial.regret)
                if method == "mi-tui":
                    violated.append(trial.violated)
    assert np.mean(regrets["mi-tui"]) < 0.7 * np.mean(regrets["even grid"])
    assert np.mean(violated) < 0.1
