import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.replay import budgets_of, grid_cost, judge, main, run_trial
from benchmarks.replay_methods import METHODS
from benchmarks.replay_rollouts import ResampledProbe, read_rollouts
from benchmarks.replay_surface import SimulatedProbe, Surface, SurfaceError, read_surfaces
from mi_tui.analysis.statistics.metrics import summarise
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.recipe import interpolation
from tests.study.stored import stored_study

SPECTRUM = Path(__file__).parents[2] / "benchmarks" / "spectrum_qwen3_4b.csv"
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


def test_lengths_vary_within_and_between_problems_as_published_ones_do(surface: Surface) -> None:
    """Log lengths: 0.3 within a problem, 0.7 between; wrong responses twice as long as right."""
    probe = SimulatedProbe(surface, seed=2, problems=4_000, held_out=0.0)
    for problem in range(4_000):
        for sample in range(2):
            probe.ask(interpolation(1.0), problem, sample)
    seen = probe.observations()
    logs = np.log(seen.tokens).reshape(-1, 2)
    within = float(np.sqrt(((logs[:, 0] - logs[:, 1]) ** 2).mean() / 2))
    between = float(np.sqrt(np.cov(logs[:, 0], logs[:, 1])[0, 1]))
    wrong = seen.score < 0.5
    assert within == pytest.approx(0.3, abs=0.03)
    assert between == pytest.approx(0.7, abs=0.03)
    ratio = seen.tokens[wrong].mean() / seen.tokens[~wrong].mean()
    assert ratio == pytest.approx(2.1, abs=0.25)


def test_responses_that_think_are_longer_and_better() -> None:
    (published,) = read_surfaces(SPECTRUM, "aime25")
    half = float(published.lambdas[np.abs(published.thinking - 0.5).argmin()])
    assert 0.6 <= half <= 0.7
    probe = SimulatedProbe(published, seed=3, problems=4_000, held_out=0.0)
    for problem in range(4_000):
        probe.ask(interpolation(half), problem, 0)
    seen = probe.observations()
    thinks = seen.thinking
    assert 0.3 < thinks.mean() < 0.9
    assert seen.tokens[thinks].mean() > 1.5 * seen.tokens[~thinks].mean()
    assert seen.score[thinks].mean() > seen.score[~thinks].mean() + 0.1


def test_a_table_without_think_ratios_gets_a_step_where_its_lengths_climb(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    rows = [f"p,interpolation,{x / 10},q,8,50,,,{9000 if x > 6 else 3000}," for x in range(11)]
    path.write_text("\n".join([TABLE.splitlines()[0], *rows]), encoding="utf-8")
    (bare,) = read_surfaces(path)
    assert bare.thinking[:55].max() < 0.1
    assert bare.thinking[75:].min() > 0.9


def stored(path: Path, lambdas: tuple[float, ...] = (0.0, 0.5, 1.0)) -> Path:
    """Rollouts of 30 problems, two samples each, longer and better towards λ = 1."""
    random = np.random.default_rng(0)
    at, problem, sample = (x.ravel() for x in np.meshgrid(lambdas, range(30), (0, 1)))
    np.savez_compressed(
        path,
        lambda_=at,
        problem=problem,
        sample=sample,
        score=(random.random(len(at)) < 0.3 + 0.4 * at).astype(np.float32),
        tokens=random.integers(50, 80, len(at)) + (100 * at).astype(int),
        thinking=at > 0.6,
        truncated=np.zeros(len(at), dtype=bool),
    )
    return path


def test_real_rollouts_are_drawn_as_they_were(tmp_path: Path) -> None:
    surface = read_rollouts(stored(tmp_path / "rollouts.npz"))
    with np.load(tmp_path / "rollouts.npz") as file:
        for lambda_ in (0.0, 0.5, 1.0):
            mine = file["lambda_"] == lambda_
            assert surface.score[surface.at(lambda_)] == pytest.approx(file["score"][mine].mean())
    probe = ResampledProbe(surface, seed=1, problems=5_000, held_out=0.0)
    for problem in range(5_000):
        probe.ask(interpolation(0.75), problem, 0)
    seen = probe.observations()
    at = surface.at(0.75)
    assert seen.tokens.mean() == pytest.approx(surface.tokens[at], rel=0.02)
    assert seen.score.mean() == pytest.approx(surface.score[at], abs=0.03)
    assert seen.thinking.mean() == pytest.approx(0.5, abs=0.03)


def test_rollouts_without_both_ends_are_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored(tmp_path / "half.npz", (0.0, 0.5, 0.8))
    assert main(["--rollouts", str(path)]) == 2
    assert "no dense study" in capsys.readouterr().err
    assert main([]) == 2
    assert "--surface or --rollouts" in capsys.readouterr().err


def test_a_finished_study_is_replayed_from_its_rollouts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored_study(tmp_path / "dense", (0.0, 0.5, 1.0), problems=12, score=0.0)
    arguments = ["--rollouts", str(path), "--seeds", "1", "--problems", "20", "--json"]
    assert main([*arguments, "--method", "even grid", "--budget", "tokens<=30"]) == 0
    (line, _) = json.loads(capsys.readouterr().out)
    assert (line["surface"], line["method"]) == ("dense", "even grid")


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


@pytest.mark.slow
def test_limits_that_hold_together_are_kept_and_the_joint_answer_beats_the_even_grids() -> None:
    (surface,) = read_surfaces(SPECTRUM, "aime25")
    budget = parse_budget("tokens<=18500 and score>=0.65")
    regrets: dict[str, list[float]] = {"mi-tui": [], "even grid": []}
    violated: dict[str, list[bool]] = {"mi-tui": [], "even grid": []}
    for seed in range(16):
        for method, found in regrets.items():
            probe = SimulatedProbe(surface, 1000 + seed, 200)
            outcome = METHODS[method](probe, budget, 3 * grid_cost(surface))
            regret, broken, _ = judge(surface, budget, outcome.lambda_)
            found.append(regret)
            violated[method].append(broken)
    assert np.mean(violated["mi-tui"]) <= 0.1
    assert np.mean(violated["mi-tui"]) <= np.mean(violated["even grid"])
    assert np.mean(regrets["mi-tui"]) < 0.7 * np.mean(regrets["even grid"])


def test_a_budget_of_several_limits_is_judged_by_each(surface: Surface) -> None:
    thinking = float(surface.score[-1])
    at = int(surface.score.argmax())
    share = 0.9 * float(surface.score[at]) / thinking
    limit = float(surface.tokens[at]) * 1.01
    both = parse_budget(f"tokens<={limit:.0f} and score>={100 * share:.4g}%")
    regret, violated, best = judge(surface, both, float(surface.lambdas[at]))
    assert (regret, violated) == (0.0, False)
    assert best == surface.lambdas[at]
    worst = int(surface.score.argmin())
    assert judge(surface, both, float(surface.lambdas[worst]))[1]
    tight = parse_budget(f"tokens<={limit / 100:.0f} and score>={100 * share:.4g}%")
    with pytest.raises(SurfaceError, match="keeps tokens<="):
        judge(surface, tight, 1.0)
